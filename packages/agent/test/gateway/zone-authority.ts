// @peculiar/x509 needs the metadata API to be there before it is loaded.
// oxlint-disable-next-line import/no-unassigned-import
import "reflect-metadata";
import { X509Certificate, createHash, createPublicKey, randomBytes } from "node:crypto";
import type { webcrypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  cryptoProvider,
} from "@peculiar/x509";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** A certificate authority of a zone, for tests. */
export interface ZoneAuthority {
  readonly certificate: string;
  readonly fingerprint: string;
  /** A key and chain for a server on this machine; PEM. */
  serverPair(): Promise<{ readonly key: string; readonly certificate: string }>;
  /** For a node's own key (SPKI DER, base64); PEM. */
  issue(publicKey: string, nodeId: string): Promise<string>;
}

export async function makeZoneAuthority(): Promise<ZoneAuthority> {
  const { crypto } = globalThis;
  cryptoProvider.set(crypto);
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const validity = { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + 86_400_000) };
  const serial = (): string => `01${randomBytes(8).toString("hex")}`;
  const authority = await X509CertificateGenerator.createSelfSigned({
    ...validity,
    serialNumber: serial(),
    name: "CN=test zone",
    keys,
    signingAlgorithm: algorithm,
    extensions: [new BasicConstraintsExtension(true, 0, true)],
  });
  const certificate = authority.toString("pem");
  const signed = async (
    publicKey: webcrypto.CryptoKey,
    subject: string,
    names: readonly { type: "ip" | "dns"; value: string }[],
  ): Promise<string> => {
    const made = await X509CertificateGenerator.create({
      ...validity,
      serialNumber: serial(),
      subject,
      issuer: authority.subject,
      publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: algorithm,
      extensions: names.length === 0 ? [] : [new SubjectAlternativeNameExtension([...names])],
    });
    return made.toString("pem");
  };
  return {
    certificate,
    fingerprint: createHash("sha256").update(new X509Certificate(certificate).raw).digest("hex"),
    async serverPair() {
      const pair = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
      const leaf = await signed(pair.publicKey, "CN=test server", [
        { type: "ip", value: "127.0.0.1" },
        { type: "dns", value: "localhost" },
      ]);
      const pkcs8 = Buffer.from(await crypto.subtle.exportKey("pkcs8", pair.privateKey)).toString("base64");
      const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8.replace(/(.{64})/g, "$1\n")}\n-----END PRIVATE KEY-----\n`;
      return { key, certificate: `${leaf}\n${certificate}` };
    },
    async issue(publicKey, nodeId) {
      const der = createPublicKey({ key: Buffer.from(publicKey, "base64"), format: "der", type: "spki" }).export({
        format: "der",
        type: "spki",
      });
      const key = await crypto.subtle.importKey("spki", der, { name: "Ed25519" }, true, ["verify"]);
      return signed(key, `CN=${nodeId}`, []);
    },
  };
}
