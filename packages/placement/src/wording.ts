/** `1 node`, `2 nodes`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** Rounded up to a tenth, so that asking for what is printed is enough. */
export function milliseconds(value: number): string {
  return `${Math.ceil(value * 10 - 1e-6) / 10} ms`;
}

/** In GiB from 1 GiB on, rounded down to a tenth, so that asking for what is printed is not too much. */
export function memory(mebibytes: number): string {
  return mebibytes < 1024 ? `${mebibytes} MiB` : `${Math.floor(mebibytes / 102.4) / 10} GiB`;
}
