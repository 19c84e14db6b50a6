import { createHash } from "node:crypto";

/** A host key as the host showed it. */
export interface SeenHostKey {
  /** As `ssh-keygen -l` prints it: `SHA256:…`. */
  readonly fingerprint: string;
  /** For example ssh-ed25519. */
  readonly type: string;
}

/** Host keys that are asked for, by family; a host shows one key per family. */
export const hostKeyFamilies = [
  ["ssh-ed25519"],
  ["ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"],
  ["rsa-sha2-512", "rsa-sha2-256"],
] as const;

export type HostKeyAlgorithm = (typeof hostKeyFamilies)[number][number];

/** Reads a public key blob (RFC 4253, 6.6): it begins with its type. */
export function describeHostKey(blob: Buffer): SeenHostKey {
  const digest = createHash("sha256").update(blob).digest("base64").replace(/=+$/, "");
  const length = blob.length >= 4 ? blob.readUInt32BE(0) : 0;
  const type = length <= 64 ? blob.toString("latin1", 4, 4 + length) : "unknown";
  return { fingerprint: `SHA256:${digest}`, type };
}
