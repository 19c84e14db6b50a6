import { X509Certificate } from "node:crypto";
import { request } from "node:https";
import type { IncomingMessage } from "node:http";
import { SkerryError } from "@skerry/model";
import { parseEndpoint, type WantedPeer } from "@skerry/protocol";
import type { TlsIdentity } from "../identity.ts";
import type { VolumeSource } from "./source.ts";
import { digestHeader, ticketHeader, volumePath } from "./wire.ts";

/** Longest wait for a connection and the head of the answer. */
const answerMs = 15_000;

/** Pulls volumes from other nodes, each recognised by the key that the server named and nothing else. */
export function makeVolumeClient(identity: TlsIdentity): VolumeSource {
  return {
    async describe(peer, volumeId, ticket, signal) {
      const answer = await ask("HEAD", peer, volumeId, ticket, 0, identity, signal);
      answer.destroy();
      return describedBy(answer);
    },
    async read(peer, volumeId, ticket, offered, offset, signal) {
      const answer = await ask("GET", peer, volumeId, ticket, offset, identity, signal);
      const { sizeBytes, digest } = describedBy(answer);
      if (digest === offered.digest && sizeBytes + offset === offered.sizeBytes) return answer;
      answer.destroy();
      throw new SkerryError(
        "conflict",
        `Node ${peer.nodeId} now offers another content of volume ${volumeId} than when the transfer began.`,
      );
    },
  };
}

async function ask(
  method: "GET" | "HEAD",
  peer: WantedPeer,
  volumeId: string,
  ticket: string,
  offset: number,
  identity: TlsIdentity,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const endpoint = peer.dataEndpoint === undefined ? undefined : parseEndpoint(peer.dataEndpoint);
  if (endpoint === undefined)
    throw new SkerryError("host-unreachable", `Node ${peer.nodeId} has told no address for its data plane.`);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const sent = request({
    ...endpoint,
    method,
    path: volumePath + volumeId,
    headers: { [ticketHeader]: ticket, ...(offset === 0 ? {} : { range: `bytes=${offset}-` }) },
    agent: false,
    signal,
    timeout: answerMs,
    key: identity.key,
    cert: identity.certificate,
    ca: [identity.authority],
    minVersion: "TLSv1.3",
    // The name in a node's certificate says nothing; the key must be the one that the server named.
    checkServerIdentity: (_host, certificate) => checkKey(certificate.raw, peer),
  });
  sent.once("response", resolve);
  sent.once("timeout", () => sent.destroy(new Error(`no answer within ${answerMs} ms`)));
  sent.once("error", reject);
  sent.end();
  let answer: IncomingMessage;
  try {
    answer = await promise;
  } catch (error) {
    signal.throwIfAborted();
    const why = error instanceof Error ? error.message : String(error);
    throw new SkerryError(
      "host-unreachable",
      `Node ${peer.nodeId} cannot be reached at ${peer.dataEndpoint ?? ""}: ${why}`,
      { cause: error },
    );
  }
  // Whoever reads the body sees its errors; until then they must not end the process.
  answer.on("error", () => undefined);
  if (answer.statusCode === 200 || answer.statusCode === 206) return answer;
  answer.destroy();
  throw new SkerryError(
    "not-found",
    `Node ${peer.nodeId} does not offer volume ${volumeId} to this node (HTTP ${answer.statusCode ?? 0}).`,
  );
}

function describedBy(answer: IncomingMessage): { sizeBytes: number; digest: string } {
  const sizeBytes = Number(answer.headers["content-length"]);
  const digest = answer.headers[digestHeader];
  if (Number.isSafeInteger(sizeBytes) && typeof digest === "string" && /^sha256:[0-9a-f]{64}$/.test(digest))
    return { sizeBytes, digest };
  throw new SkerryError("protocol-mismatch", "The other node's answer says neither size nor digest.");
}

function checkKey(certificate: Uint8Array, peer: WantedPeer): Error | undefined {
  const key = new X509Certificate(certificate).publicKey.export({ type: "spki", format: "der" }).toString("base64");
  return key === peer.publicKey ? undefined : new Error(`whoever answers does not have the key of node ${peer.nodeId}`);
}
