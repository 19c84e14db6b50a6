import { hash as digest, randomBytes, timingSafeEqual } from "node:crypto";

/** A secret shown once, and what is kept of it. */
export interface MintedSecret {
  /** 256 random bits, base64url: 43 characters. */
  readonly secret: string;
  /** SHA-256 of the secret, hex; enough, since nobody guesses 256 random bits. */
  readonly hash: string;
}

/** @param random gives that many random bytes */
export function mintSecret(random: (bytes: number) => Uint8Array = randomBytes): MintedSecret {
  const secret = Buffer.from(random(32)).toString("base64url");
  return { secret, hash: hashSecret(secret) };
}

/** SHA-256 of a secret, hex. */
export function hashSecret(secret: string): string {
  return digest("sha256", secret);
}

/** Compares in time that does not depend on where the two differ. */
export function secretMatches(secret: string, hash: string): boolean {
  const expected = Buffer.from(hash, "hex");
  const actual = digest("sha256", secret, "buffer");
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}
