import { createHash } from "node:crypto";
import { isIP } from "node:net";
import { connect } from "node:tls";
import type { DetailedPeerCertificate } from "node:tls";
import { X509Certificate } from "node:crypto";
import { SkerryError } from "@skerry/model";
import { hostAndPort } from "../server-address.ts";

const handshakeMs = 15_000;
/** Chains are short; one that goes on is not read to its end. */
const maxChain = 8;

/**
 * The authority's certificate (PEM) from the server's TLS handshake, recognised by the fingerprint in the token. Nothing is
 * sent on this connection and nothing else in it is believed: whoever goes on verifies the server by this certificate.
 * @throws SkerryError host-unreachable; join-refused where the server shows no certificate with that fingerprint
 */
export async function fetchAuthority(server: URL, fingerprint: string, signal: AbortSignal): Promise<string> {
  const { host, port } = hostAndPort(server);
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  const socket = connect({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}), rejectUnauthorized: false });
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(handshakeMs)]);
  const onAbort = (): void => {
    reject(
      new SkerryError("host-unreachable", `The server ${server.host} did not answer within ${handshakeMs / 1000} s.`),
    );
  };
  deadline.addEventListener("abort", onAbort, { once: true });
  socket.once("secureConnect", () => resolve(findInChain(socket.getPeerCertificate(true), fingerprint)));
  socket.once("error", (error: Error) => {
    reject(
      new SkerryError("host-unreachable", `The server ${server.host} cannot be reached: ${error.message}`, {
        remedy: "Check the address, and that this host may connect to it.",
        cause: error,
      }),
    );
  });
  try {
    const authority = await promise;
    if (authority !== undefined) return authority;
  } finally {
    deadline.removeEventListener("abort", onAbort);
    socket.destroy();
  }
  throw new SkerryError(
    "join-refused",
    `The server ${server.host} does not belong to the authority that the token names.`,
    {
      remedy:
        "Check the address: something else may answer there. If the server was installed anew, take a new token from it.",
      facts: { authorityFingerprint: fingerprint },
    },
  );
}

function findInChain(first: DetailedPeerCertificate, fingerprint: string): string | undefined {
  let certificate: DetailedPeerCertificate | undefined = first;
  for (let length = 0; length < maxChain && certificate?.raw !== undefined; length += 1) {
    if (createHash("sha256").update(certificate.raw).digest("hex") === fingerprint)
      return new X509Certificate(certificate.raw).toString();
    if (certificate.issuerCertificate === certificate) return undefined;
    certificate = certificate.issuerCertificate;
  }
  return undefined;
}
