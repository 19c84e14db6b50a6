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
  let bits = 0n;
  for (const byte of random.subarray(0, 10)) bits = (bits << 8n) | BigInt(byte);
  let tail = "";
  for (let i = 0; i < 16; i++) {
    tail = (alphabet[Number(bits & 31n)] ?? "0") + tail;
    bits >>= 5n;
  }
  return `${prefix}_${time}${tail}`;
}
