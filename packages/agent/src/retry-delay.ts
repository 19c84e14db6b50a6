/**
 * How long to wait before trying again after `failures` in a row: doubling from `minMs` to `maxMs`, and spread over the
 * upper half, so that what failed together does not return together. @param random within [0, 1)
 */
export function retryDelayMs(failures: number, minMs: number, maxMs: number, random: number): number {
  const full = Math.min(maxMs, minMs * 2 ** Math.min(failures - 1, 30));
  return Math.round(full / 2 + (full / 2) * random);
}
