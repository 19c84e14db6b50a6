import { createHmac, timingSafeEqual } from "node:crypto";

/* Codes by time as RFC 6238 has them, with what every authenticator app takes: SHA-1, 30 s, six digits. */

const stepMs = 30_000;
const digits = 6;
/** As long as the hash, as RFC 4226 asks. */
export const totpSecretBytes = 20;
/** Steps that a code may be early or late by: clocks differ, and typing takes time. */
const tolerance = 1;

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

export function toBase32(bytes: Uint8Array): string {
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, "0")).join("");
  const groups = bits.match(/.{1,5}/g) ?? [];
  return groups.map((group) => alphabet[Number.parseInt(group.padEnd(5, "0"), 2)]).join("");
}

/** Characters that are none of base32 count as nothing. */
export function fromBase32(text: string): Uint8Array {
  const bits = Array.from(text, (letter) => alphabet.indexOf(letter))
    .filter((value) => value !== -1)
    .map((value) => value.toString(2).padStart(5, "0"))
    .join("");
  return Uint8Array.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
}

export function totpStep(nowMs: number): number {
  return Math.floor(nowMs / stepMs);
}

export function totpCode(secret: Uint8Array, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac("sha1", secret).update(counter).digest();
  const offset = (mac.at(-1) ?? 0) & 0xf;
  return String((mac.readUInt32BE(offset) & 0x7fff_ffff) % 10 ** digits).padStart(digits, "0");
}

/**
 * The step that a code is of, near now and behind `lastStep`, so that none is taken twice; undefined where it is of none. The
 * same work whatever the code.
 */
export function stepOf(secret: Uint8Array, code: string, nowMs: number, lastStep: number): number | undefined {
  const given = Buffer.alloc(digits, code.replaceAll(/\D/g, "").padStart(digits, "x"));
  const now = totpStep(nowMs);
  let found: number | undefined;
  for (let step = now - tolerance; step <= now + tolerance; step += 1) {
    const same = timingSafeEqual(Buffer.from(totpCode(secret, step)), given);
    if (same && step > lastStep) found = step;
  }
  return /^\d{3} ?\d{3}$/.test(code) ? found : undefined;
}

/** What authenticator apps take, as text or as a picture. */
export function otpauthUri(secret: string, user: string, zone: string): string {
  const label = `${encodeURIComponent(zone)}:${encodeURIComponent(user)}`;
  return `otpauth://totp/${label}?secret=${secret}&issuer=${encodeURIComponent(zone)}`;
}
