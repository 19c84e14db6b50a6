import { randomBytes, type webcrypto } from "node:crypto";
import { isIP } from "node:net";
import type { AsnEncodedType, Extension } from "@peculiar/x509";

/** A private key (PKCS #8) and its certificate, both PEM. */
export interface KeyPair {
  readonly key: string;
  readonly certificate: string;
}

/** What a certificate is for. */
export type Purpose = { readonly serves: readonly string[] } | { readonly nodeId: string };

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const keyAlgorithm = { name: "ECDSA", namedCurve: "P-256" } as const;
const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" } as const;

/** Loaded when a certificate is made, which most starts don't do: it takes a quarter of a second and 30 MB. */
async function loadLibrary(): Promise<typeof import("@peculiar/x509")> {
  await import("reflect-metadata");
  return import("@peculiar/x509");
}

/** A new self-signed authority, ECDSA P-256, that may sign end certificates only. */
export async function makeAuthorityPair(name: string, validity: Validity): Promise<KeyPair> {
  const x509 = await loadLibrary();
  const keys = await crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity,
    serialNumber: serialNumber(),
    name: `CN=${name}`,
    keys,
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { key: await toPem(keys.privateKey), certificate: `${certificate.toString("pem").trimEnd()}\n` };
}

/** A new ECDSA P-256 key for a server that goes by these host names and addresses, and its certificate. */
export async function makeServerPair(
  authority: KeyPair,
  names: readonly string[],
  validity: Validity,
): Promise<KeyPair> {
  const keys = await crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
  const publicKey = await crypto.subtle.exportKey("spki", keys.publicKey);
  return {
    key: await toPem(keys.privateKey),
    certificate: await issue(authority, publicKey, "Skerry server", { serves: names }, validity),
  };
}

/**
 * Signs a certificate for a key that another holds.
 * @param publicKey SPKI, DER @param commonName made by the server, never by a tenant
 */
export async function issue(
  authority: KeyPair,
  publicKey: AsnEncodedType,
  commonName: string,
  purpose: Purpose,
  validity: Validity,
): Promise<string> {
  const x509 = await loadLibrary();
  const issuer = new x509.X509Certificate(authority.certificate);
  const subjectKey = new x509.PublicKey(publicKey);
  const extensions: Extension[] = [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension(
      "serves" in purpose
        ? [x509.ExtendedKeyUsage.serverAuth]
        : [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth],
    ),
    await x509.SubjectKeyIdentifierExtension.create(subjectKey),
    await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
  ];
  if ("serves" in purpose) {
    const names = purpose.serves.map((value) => ({
      type: isIP(value) === 0 ? ("dns" as const) : ("ip" as const),
      value,
    }));
    extensions.push(new x509.SubjectAlternativeNameExtension(names));
  }
  const certificate = await x509.X509CertificateGenerator.create({
    ...validity,
    serialNumber: serialNumber(),
    subject: `CN=${commonName}`,
    issuer: issuer.subjectName,
    publicKey: subjectKey,
    signingKey: await fromPem(authority.key),
    signingAlgorithm,
    extensions,
  });
  return `${certificate.toString("pem").trimEnd()}\n`;
}

/** 127 random bits, positive, as RFC 5280 wants it. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes.writeUInt8((bytes.readUInt8(0) & 0x7f) | 0x40, 0);
  return bytes.toString("hex");
}

async function toPem(key: webcrypto.CryptoKey): Promise<string> {
  const base64 = Buffer.from(await crypto.subtle.exportKey("pkcs8", key)).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${base64.replaceAll(/.{1,64}/g, "$&\n")}-----END PRIVATE KEY-----\n`;
}

async function fromPem(pem: string): Promise<webcrypto.CryptoKey> {
  const der = Buffer.from(pem.replaceAll(/-----[A-Z ]+-----|\s/g, ""), "base64");
  return crypto.subtle.importKey("pkcs8", der, keyAlgorithm, false, ["sign"]);
}
