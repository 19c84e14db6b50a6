import { X509Certificate, createHash, createPrivateKey, randomBytes } from "node:crypto";
import { isIP } from "node:net";
import { join } from "node:path";
import { SkerryError } from "@skerry/model";
import { ensurePrivateDirectory, readPrivateFile, writePrivateFile } from "../secrets/private-file.ts";
import { issue, makeAuthorityPair, makeServerPair, type KeyPair, type Validity } from "./certificate.ts";
import { readNodeKey } from "./node-key.ts";

const dayMs = 86_400_000;
const authorityDays = 20 * 365;
const serverDays = 365;
/** A server certificate with less than this left is renewed at the next start. */
const renewalDays = 60;
/** The clock of a host that joins may be behind ours. */
const clockSkewMs = 3_600_000;

/** Names that every server goes by. */
const localNames = ["localhost", "127.0.0.1", "::1"];

/** The zone's own certificate authority: by it the control plane and its nodes know each other. */
export interface Authority {
  /** PEM. */
  readonly certificate: string;
  /** The same as a file that clients can be pointed at. */
  readonly certificateFile: string;
  /** SHA-256 of the certificate's DER, hex: what join tokens carry. */
  readonly fingerprint: string;
  /**
   * The server's pair for these host names and addresses and the local ones; made anew when one is missing or its end is
   * near. The authority itself ends the chain, so that an agent that knows only its fingerprint can check it.
   */
  serverPair(advertised: readonly string[]): Promise<KeyPair>;
  /**
   * A certificate for a node's own key, for both ends of the data plane; its common name is the node's id. It lasts as
   * long as the authority: a node is shut out by its peers' list of pinned keys, never by a date.
   * @param publicKey Ed25519, SPKI DER, base64 @throws SkerryError invalid-request for any other key
   */
  issueNodeCertificate(publicKey: string, nodeId: string): Promise<string>;
}

/** Opens the authority in `directory`, or makes it at the first start. */
export async function openAuthority(directory: string, nowMs: () => number): Promise<Authority> {
  await ensurePrivateDirectory(directory);
  const certificateFile = join(directory, "ca.pem");
  const pair = await openAuthorityPair(join(directory, "ca.key"), certificateFile, nowMs());
  const certificate = new X509Certificate(pair.certificate);
  const chained = (end: KeyPair): KeyPair => ({ ...end, certificate: end.certificate + pair.certificate });

  return {
    certificate: pair.certificate,
    certificateFile,
    fingerprint: createHash("sha256").update(certificate.raw).digest("hex"),
    async serverPair(advertised) {
      const names = [...new Set([...advertised, ...localNames])];
      const keyFile = join(directory, "server.key");
      const pairFile = join(directory, "server.pem");
      const stored = await readPair(keyFile, pairFile);
      if (stored !== undefined && serves(stored, names, certificate, nowMs())) return chained(stored);
      const made = await makeServerPair(pair, names, validityOf(nowMs(), serverDays));
      await writePair(made, keyFile, pairFile);
      return chained(made);
    },
    async issueNodeCertificate(publicKey, nodeId) {
      const der = readNodeKey(publicKey).export({ format: "der", type: "spki" });
      const validity = { notBefore: new Date(nowMs() - clockSkewMs), notAfter: certificate.validToDate };
      return issue(pair, der, nodeId, { nodeId }, validity);
    },
  };
}

async function openAuthorityPair(keyFile: string, certificateFile: string, nowMs: number): Promise<KeyPair> {
  const stored = await readPair(keyFile, certificateFile);
  if (stored !== undefined) return stored;
  if ((await readPrivateFile(certificateFile)) !== undefined) {
    throw new SkerryError("unavailable", `${keyFile} is missing or is not the key of ${certificateFile}.`, {
      remedy: "Restore both from a backup; nodes that joined trust this authority only.",
    });
  }
  // The certificate is written last: a key without one was never used.
  const made = await makeAuthorityPair(
    `Skerry zone ${randomBytes(4).toString("hex")}`,
    validityOf(nowMs, authorityDays),
  );
  await writePair(made, keyFile, certificateFile);
  return made;
}

/** Undefined where one of the two is missing, or they don't belong together. */
async function readPair(keyFile: string, certificateFile: string): Promise<KeyPair | undefined> {
  const [key, certificate] = await Promise.all([readPrivateFile(keyFile), readPrivateFile(certificateFile)]);
  if (key === undefined || certificate === undefined) return undefined;
  if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))) return undefined;
  return { key: key.toString("utf8"), certificate: certificate.toString("utf8") };
}

async function writePair(pair: KeyPair, keyFile: string, certificateFile: string): Promise<void> {
  await writePrivateFile(keyFile, pair.key);
  await writePrivateFile(certificateFile, pair.certificate);
}

function serves(pair: KeyPair, names: readonly string[], authority: X509Certificate, nowMs: number): boolean {
  const certificate = new X509Certificate(pair.certificate);
  const lasts =
    certificate.validToDate.getTime() - nowMs > renewalDays * dayMs && certificate.validFromDate.getTime() <= nowMs;
  const covers = (name: string): boolean =>
    (isIP(name) === 0 ? certificate.checkHost(name, { subject: "never" }) : certificate.checkIP(name)) !== undefined;
  return lasts && certificate.verify(authority.publicKey) && names.every(covers);
}

function validityOf(nowMs: number, days: number): Validity {
  return { notBefore: new Date(nowMs - clockSkewMs), notAfter: new Date(nowMs + days * dayMs) };
}
