const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

/**
 * A sortable identifier: the kind's prefix and a ULID in lower case (48 bits of milliseconds, 80 random bits).
 * @param random 10 random bytes @param timeMs milliseconds since 1970
 */
export function makeId(prefix: string, timeMs: number, random: Uint8Array): string {
  let time = "";
  let rest = timeMs;
  for (let i = 0; i < 10; i++) {
    time = (alphabet[rest % 32] ?? "0") + time;
    rest = Math.floor(rest / 32);
  }
  return `${prefix}_${time}${eightDigits(random, 0)}${eightDigits(random, 5)}`;
}

/** Five bytes, which is eight digits of five bits. */
function eightDigits(bytes: Uint8Array, from: number): string {
  let bits = 0;
  for (let i = from; i < from + 5; i++) bits = bits * 256 + (bytes[i] ?? 0);
  let digits = "";
  for (let i = 0; i < 8; i++) {
    digits = (alphabet[bits % 32] ?? "0") + digits;
    bits = Math.floor(bits / 32);
  }
  return digits;
}
