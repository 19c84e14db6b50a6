const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
/** All pairs of digits, by their ten bits. */
const pairs = Array.from(alphabet).flatMap((one) => Array.from(alphabet, (other) => one + other));

/**
 * A sortable identifier: the kind's prefix and a ULID in lower case (48 bits of milliseconds, 80 random bits).
 * @param random 10 random bytes @param timeMs milliseconds since 1970
 */
export function makeId(prefix: string, timeMs: number, random: Uint8Array): string {
  let time = "";
  let rest = timeMs;
  for (let i = 0; i < 5; i++) {
    time = (pairs[rest % 1024] ?? "00") + time;
    rest = Math.floor(rest / 1024);
  }
  return `${prefix}_${time}${eightDigits(random, 0)}${eightDigits(random, 5)}`;
}

/** Five bytes, which is eight digits of five bits. */
function eightDigits(bytes: Uint8Array, from: number): string {
  const byte = (at: number): number => bytes[from + at] ?? 0;
  const middle = byte(2);
  return (
    fourDigits((byte(0) << 12) | (byte(1) << 4) | (middle >> 4)) +
    fourDigits(((middle & 15) << 16) | (byte(3) << 8) | byte(4))
  );
}

/** Of 20 bits. */
function fourDigits(bits: number): string {
  return (pairs[bits >> 10] ?? "") + (pairs[bits & 1023] ?? "");
}
