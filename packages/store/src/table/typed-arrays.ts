/** Copies a typed array into a longer one of its kind, and returns that. */
export function grown<T extends Int32Array | Uint32Array | Float64Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** Twice as long, with the same content first. */
export function longer(from: Int32Array): Int32Array<ArrayBuffer> {
  return grown(from, new Int32Array(from.length * 2)) as Int32Array<ArrayBuffer>;
}
