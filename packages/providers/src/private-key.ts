import { SkerryError } from "@skerry/model";
import ssh2, { type ParsedKey } from "ssh2";

const remedy =
  "Give an OpenSSH private key without a passphrase, for example one made by: ssh-keygen -t ed25519 -N '' -f skerry";
const keyTypes = /^(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|ssh-rsa)$/;
/** Shorter moduli can be factored by those who have the means. */
const leastRsaModulusBytes = 2048 / 8;

/** Reads a private key before anything is connected. @throws SkerryError invalid-request that says what is wrong with it */
export function parsePrivateKey(text: string): ParsedKey {
  if (
    /^-----BEGIN ENCRYPTED PRIVATE KEY|^Proc-Type: 4,ENCRYPTED|^Encryption: (?!none)/m.test(text) ||
    isSealedOpenSsh(text)
  ) {
    throw new SkerryError("invalid-request", "The SSH private key is protected by a passphrase.", { remedy });
  }
  const parsed = ssh2.utils.parseKey(text.trim() === "" ? " " : text);
  // An OpenSSH file may hold several keys by its format; in practice it holds one.
  const key: ParsedKey | Error | undefined = Array.isArray(parsed) ? (parsed as readonly ParsedKey[])[0] : parsed;
  if (key === undefined || key instanceof Error) {
    throw new SkerryError("invalid-request", "The SSH private key cannot be read.", { remedy, cause: key });
  }
  if (!key.isPrivateKey()) {
    throw new SkerryError("invalid-request", "The SSH private key is only a public key.", { remedy });
  }
  if (
    !keyTypes.test(key.type) ||
    (key.type === "ssh-rsa" && rsaModulusBytes(key.getPublicSSH()) < leastRsaModulusBytes)
  ) {
    throw new SkerryError("invalid-request", `The SSH private key (${key.type}) is too weak.`, { remedy });
  }
  return key;
}

/** OpenSSH's own format names its cipher first in the body; `none` means no passphrase. */
function isSealedOpenSsh(text: string): boolean {
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END/.exec(text)?.[1];
  if (body === undefined) return false;
  const bytes = Buffer.from(body, "base64");
  const start = "openssh-key-v1\0".length;
  if (bytes.length < start + 4) return false;
  const length = bytes.readUInt32BE(start);
  return length < 64 && bytes.toString("latin1", start + 4, start + 4 + length) !== "none";
}

/** A public ssh-rsa blob is three length-prefixed strings: type, exponent, modulus (with a leading zero byte). */
function rsaModulusBytes(blob: Buffer): number {
  let at = 0;
  for (let skipped = 0; skipped < 2; skipped++) at += 4 + blob.readUInt32BE(at);
  return blob.readUInt32BE(at) - 1;
}
