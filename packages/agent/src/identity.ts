import { X509Certificate, createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Static } from "typebox";
import { Type } from "typebox";
import { Id, SkerryError, parserOf, strict } from "@skerry/model";
import { syncDirectory, writeDurably } from "./durable-file.ts";
import { isMissing } from "./file-bytes.ts";

/** What the agent shows in TLS, and whom it trusts; PEM. */
export interface TlsIdentity {
  readonly key: string;
  readonly certificate: string;
  /** The zone's own authority: the only one that is trusted. */
  readonly authority: string;
}

const StoredIdentity = strict({
  /** The server's URL as given at join, without a path. */
  server: Type.String(),
  nodeId: Id,
  nodeName: Type.String(),
  certificate: Type.String(),
  authority: Type.String(),
});
type StoredIdentity = Static<typeof StoredIdentity>;
const parseIdentity = parserOf(StoredIdentity, "identity file", "internal");

/** Who this node is, since it joined. */
export type Identity = Readonly<StoredIdentity> &
  TlsIdentity & {
    /** SPKI DER, base64. */
    readonly publicKey: string;
  };

/** Where the node's key and identity lie. Provisioning takes the second one's existence as the sign that the node joined. */
function filesOf(dataFolder: string): { readonly key: string; readonly identity: string } {
  return { key: join(dataFolder, "agent-key.pem"), identity: join(dataFolder, "identity.json") };
}

/** The node's own key, PEM; made once, and durable before anyone is told of it. */
export async function ensureKey(dataFolder: string): Promise<string> {
  await mkdir(dataFolder, { recursive: true });
  const path = filesOf(dataFolder).key;
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  const key = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  await writeDurably(path, key);
  await syncDirectory(dirname(dataFolder));
  return key;
}

export function publicKeyOf(key: string): string {
  return createPublicKey(createPrivateKey(key)).export({ type: "spki", format: "der" }).toString("base64");
}

/** Base64 Ed25519 signature. */
export function signWith(key: string, payload: Uint8Array): string {
  return sign(null, payload, key).toString("base64");
}

/** Undefined where the node has not joined. @throws SkerryError internal where the files don't fit together */
export async function readIdentity(dataFolder: string): Promise<Identity | undefined> {
  let text: string;
  try {
    text = await readFile(filesOf(dataFolder).identity, "utf8");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  const stored = parseIdentity(JSON.parse(text));
  const key = await ensureKey(dataFolder);
  const publicKey = publicKeyOf(key);
  if (certifiedKey(stored.certificate) !== publicKey) {
    throw new SkerryError("internal", `The key in ${dataFolder} is not the one that the node's certificate is for.`, {
      remedy:
        "Restore agent-key.pem and identity.json from one backup, or remove both and join again with a new token.",
    });
  }
  return { ...stored, key, publicKey };
}

/** Written last in a join, and whole: from then on the node is enrolled. */
export async function writeIdentity(dataFolder: string, identity: StoredIdentity): Promise<void> {
  await writeDurably(filesOf(dataFolder).identity, `${JSON.stringify(identity, undefined, 2)}\n`);
}

/** SHA-256 of a certificate's DER, hex, as in join tokens. */
export function fingerprintOf(certificate: string | Uint8Array): string {
  return createHash("sha256").update(new X509Certificate(certificate).raw).digest("hex");
}

/** The key that a certificate is for; SPKI DER, base64. */
export function certifiedKey(certificate: string): string {
  return new X509Certificate(certificate).publicKey.export({ type: "spki", format: "der" }).toString("base64");
}
