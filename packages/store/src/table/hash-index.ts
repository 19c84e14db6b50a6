const empty = -1;
const removed = -2;
const smallest = 64;

/** FNV-1a, 32 bits. */
export function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193);
  return hash >>> 0;
}

/**
 * Rows by the hash of a key that lies elsewhere: 8 to 16 bytes a row and nothing on the heap. Whoever asks says which row's key
 * it is. Growing a million rows takes about 20 ms.
 */
export class HashIndex {
  #slots = new Int32Array(smallest).fill(empty);
  /** Of slots that are or were in use. */
  #used = 0;
  #size = 0;
  readonly #hashOfRow: (row: number) => number;

  constructor(hashOfRow: (row: number) => number) {
    this.#hashOfRow = hashOfRow;
  }

  /** The row with this hash that `isIt`; -1 where there is none. */
  find(hash: number, isIt: (row: number) => boolean): number {
    const mask = this.#slots.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const row = this.#slots[at] ?? empty;
      if (row === empty) return -1;
      if (row !== removed && this.#hashOfRow(row) === hash && isIt(row)) return row;
    }
  }

  /** Only for a key that is not there. */
  add(row: number): void {
    if ((this.#used + 1) * 2 > this.#slots.length) this.#grow();
    if (this.#place(this.#slots, row)) this.#used++;
    this.#size++;
  }

  /** Only for a row that is there. */
  remove(row: number): void {
    const mask = this.#slots.length - 1;
    for (let at = this.#hashOfRow(row) & mask; this.#slots[at] !== empty; at = (at + 1) & mask) {
      if (this.#slots[at] !== row) continue;
      this.#slots[at] = removed;
      this.#size--;
      return;
    }
    throw new Error(`row ${row} is not in the index`);
  }

  /** Whether a slot was taken that had never been used. */
  #place(slots: Int32Array, row: number): boolean {
    const mask = slots.length - 1;
    let at = this.#hashOfRow(row) & mask;
    while ((slots[at] ?? empty) >= 0) at = (at + 1) & mask;
    const isFresh = slots[at] === empty;
    slots[at] = row;
    return isFresh;
  }

  #grow(): void {
    let length = smallest;
    while (length < (this.#size + 1) * 4) length *= 2;
    const slots = new Int32Array(length).fill(empty);
    for (const row of this.#slots) if (row >= 0) this.#place(slots, row);
    this.#slots = slots;
    this.#used = this.#size;
  }
}
