import ssh2 from "ssh2";

export type SshKeyType = "ed25519" | "ecdsa" | "rsa";

export interface SshKeyPair {
  readonly private: string;
  readonly public: string;
}

/** A length-prefixed `ssh-ed25519` and a length-prefixed key of 32 bytes. */
const ed25519BlobBytes = 4 + 11 + 4 + 32;

/** A new key in OpenSSH's format. The library drops zero bytes that an ed25519 key begins with, one time in 256: those are no keys. */
export function makeSshKey(type: SshKeyType): SshKeyPair {
  if (type !== "ed25519") return ssh2.utils.generateKeyPairSync(type, { bits: type === "rsa" ? 2048 : 256 });
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync("ed25519");
    if (publicBlob(pair).length === ed25519BlobBytes) return pair;
  }
}

export function publicBlob(pair: SshKeyPair): Buffer {
  return Buffer.from(pair.public.split(" ")[1] ?? "", "base64");
}
