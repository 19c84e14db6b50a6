import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { SkerryError } from "@skerry/model";
import { readPrivateFile, writePrivateFile } from "./private-file.ts";

/**
 * Keeps secrets that must be used again (an SSH key) unreadable in the store, its log and its backups.
 * `owner` names what the secret belongs to: sealed text opens for the same owner only.
 */
export interface Sealer {
  seal(plain: string, owner: string): string;
  /** @throws SkerryError unavailable where the text was sealed with another key, for another owner, or was altered */
  open(sealed: string, owner: string): string;
  /** Whether it is this text that was sealed; not where it can't be opened, so that it is replaced by writing it anew. */
  holds(sealed: string, owner: string, plain: string): boolean;
}

const prefix = "sealed:1:";
const nonceBytes = 12;
const tagBytes = 16;

/** Seals with AES-256-GCM under the key in `path` (32 bytes, mode 0600), which is made where it is missing. */
export async function openSealer(path: string): Promise<Sealer> {
  const key = (await readPrivateFile(path)) ?? (await makeKey(path));
  if (key.length !== 32) {
    throw new SkerryError("unavailable", `${path} does not hold a sealing key of 32 bytes.`, {
      remedy: "Restore it from a backup.",
    });
  }
  const sealer: Sealer = {
    seal(plain, owner) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(owner));
      const sealed = Buffer.concat([nonce, cipher.update(plain, "utf8"), cipher.final(), cipher.getAuthTag()]);
      return prefix + sealed.toString("base64");
    },
    open(sealed, owner) {
      const bytes = Buffer.from(sealed.startsWith(prefix) ? sealed.slice(prefix.length) : "", "base64");
      try {
        const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, nonceBytes), {
          authTagLength: tagBytes,
        });
        decipher.setAAD(Buffer.from(owner)).setAuthTag(bytes.subarray(-tagBytes));
        return decipher.update(bytes.subarray(nonceBytes, -tagBytes), undefined, "utf8") + decipher.final("utf8");
      } catch (error) {
        throw new SkerryError("unavailable", `The sealed secret of ${owner} can not be opened.`, {
          remedy: `Restore ${path} from the backup that the data came from, or write the secret anew.`,
          cause: error,
        });
      }
    },
    holds(sealed, owner, plain) {
      try {
        return sealer.open(sealed, owner) === plain;
      } catch {
        // It was sealed under a key that is lost.
        return false;
      }
    },
  };
  return sealer;
}

async function makeKey(path: string): Promise<Buffer> {
  const key = randomBytes(32);
  await writePrivateFile(path, key);
  return key;
}
