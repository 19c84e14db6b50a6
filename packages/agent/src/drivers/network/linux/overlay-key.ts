import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { SkerryError } from "@skerry/model";
import { writeDurably } from "../../../durable-file.ts";

/** PKCS #8 wrapping of a raw X25519 private key. */
const pkcs8Prefix = Buffer.from("302e020100300506032b656e04220420", "hex");

/** WireGuard's key of this node: 32 bytes of X25519 in base64, in a file of its own that only root reads. */
export class OverlayKey {
  readonly path: string;
  #publicKey: Promise<string> | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /** Makes the key at first use; base64. */
  publicKey(): Promise<string> {
    this.#publicKey ??= this.#load().catch((error: unknown) => {
      this.#publicKey = undefined;
      throw error;
    });
    return this.#publicKey;
  }

  async #load(): Promise<string> {
    let text: string;
    try {
      text = await readFile(this.path, "utf8");
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
      const { privateKey } = generateKeyPairSync("x25519");
      const raw = privateKey.export({ format: "der", type: "pkcs8" }).subarray(pkcs8Prefix.length);
      text = `${raw.toString("base64")}\n`;
      await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
      await writeDurably(this.path, text);
    }
    const raw = Buffer.from(text.trim(), "base64");
    if (raw.length !== 32) {
      throw new SkerryError("node-driver-failed", `${this.path} does not hold a WireGuard key.`, {
        remedy: "Remove the file; the node then makes a new key and its peers learn it.",
      });
    }
    const privateKey = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, raw]), format: "der", type: "pkcs8" });
    return createPublicKey(privateKey).export({ format: "der", type: "spki" }).subarray(-32).toString("base64");
  }
}
