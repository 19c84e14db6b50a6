/** The overlay's own addresses: 100.64.0.0/10 (RFC 6598), one per node, from the node's index. */
export const overlayPrefixLength = 10;
export const maxOverlayIndex = 2 ** 22 - 2;

/** @param index 1-based, below 2^22 @throws RangeError outside */
export function overlayAddress(index: number): string {
  if (!Number.isInteger(index) || index < 1 || index > maxOverlayIndex)
    throw new RangeError(`overlay index ${index} is not within 1..${maxOverlayIndex}`);
  const value = (100 << 24) + (64 << 16) + index;
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
}
