import { createPublicKey, verify, type KeyObject } from "node:crypto";
import { SkerryError } from "@skerry/model";

/**
 * A node's public key as it travels and is stored: Ed25519, SPKI DER, base64.
 * @throws SkerryError invalid-request for anything else
 */
export function readNodeKey(text: string): KeyObject {
  let key: KeyObject | undefined;
  try {
    key = createPublicKey({ key: Buffer.from(text, "base64"), format: "der", type: "spki" });
  } catch {
    // Whatever is wrong with it, the answer is the one below.
  }
  // One text per key, so that keys can be compared as text.
  if (key?.asymmetricKeyType === "ed25519" && key.export({ format: "der", type: "spki" }).toString("base64") === text)
    return key;
  throw new SkerryError("invalid-request", "The public key is not an Ed25519 key (SPKI, DER, base64).");
}

/** Whether `signature` (base64) over `payload` was made with the private half of a node's key. */
export function isSignedBy(publicKey: string, payload: Uint8Array, signature: string): boolean {
  return verify(null, payload, readNodeKey(publicKey), Buffer.from(signature, "base64"));
}
