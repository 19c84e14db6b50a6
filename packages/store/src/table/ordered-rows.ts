import { longer } from "./typed-arrays.ts";

const chunkRows = 512;
/** Of the first chunk, which grows: most labels have few rows. */
const firstRows = 8;

/** How a key compares with a row's: below, at or above 0. */
export type CompareToRow = (row: number) => number;

/**
 * Rows in the order of keys that lie elsewhere, in chunks of a few hundred: 4 to 8 bytes a row; a change moves one chunk's rows
 * at most, so that it costs a microsecond or two among a million.
 */
export class OrderedRows {
  readonly #chunks: { rows: Int32Array; count: number }[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** For a row whose key is above those of all that are there. */
  append(row: number): void {
    const last = this.#chunks.at(-1);
    if (last === undefined || last.count === chunkRows) this.#add(row);
    else {
      if (last.count === last.rows.length) last.rows = longer(last.rows);
      last.rows[last.count++] = row;
    }
    this.#size++;
  }

  /** @param compare of the row's own key with others'; only for a key that is not there */
  insert(row: number, compare: CompareToRow): void {
    const index = Math.max(0, this.#chunkOf(compare));
    const chunk = this.#chunks[index];
    if (chunk === undefined) {
      this.#add(row);
      this.#size++;
      return;
    }
    if (chunk.count === chunkRows) {
      this.#split(index);
      this.insert(row, compare);
      return;
    }
    this.#size++;
    if (chunk.count === chunk.rows.length) chunk.rows = longer(chunk.rows);
    const at = firstFrom(chunk, compare);
    chunk.rows.copyWithin(at + 1, at, chunk.count);
    chunk.rows[at] = row;
    chunk.count++;
  }

  /** @param compare of the row's own key with others'; only for a row that is there */
  remove(row: number, compare: CompareToRow): void {
    const index = Math.max(0, this.#chunkOf(compare));
    const chunk = this.#chunks[index];
    const at = chunk === undefined ? 0 : firstFrom(chunk, compare);
    if (chunk === undefined || at === chunk.count || chunk.rows[at] !== row)
      throw new Error(`row ${row} is out of order`);
    chunk.rows.copyWithin(at, at + 1, chunk.count);
    chunk.count--;
    this.#size--;
    if (chunk.count === 0) this.#chunks.splice(index, 1);
  }

  /** Rows from the first whose key is not below, in order; not to be changed meanwhile. */
  *from(compare: CompareToRow): Generator<number, void, void> {
    let index = Math.max(0, this.#chunkOf(compare));
    const first = this.#chunks[index];
    let at = first === undefined ? 0 : firstFrom(first, compare);
    for (; index < this.#chunks.length; index++, at = 0) {
      const chunk = this.#chunks[index];
      if (chunk === undefined) return;
      for (; at < chunk.count; at++) yield chunk.rows[at] ?? -1;
    }
  }

  /** All rows, in order; not to be changed meanwhile. */
  each(visit: (row: number) => void): void {
    for (const { rows, count } of this.#chunks) for (let at = 0; at < count; at++) visit(rows[at] ?? -1);
  }

  /** The last chunk whose first key is not above; -1 where all are. */
  #chunkOf(compare: CompareToRow): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compare(this.#chunks[middle]?.rows[0] ?? -1) >= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #add(row: number): void {
    const rows = new Int32Array(this.#chunks.length === 0 ? firstRows : chunkRows);
    rows[0] = row;
    this.#chunks.push({ rows, count: 1 });
  }

  #split(index: number): void {
    const chunk = this.#chunks[index];
    if (chunk === undefined) return;
    // Keys often come in order; then full chunks stay full.
    const keep = index === this.#chunks.length - 1 ? chunkRows - 32 : chunkRows / 2;
    const rows = new Int32Array(chunkRows);
    rows.set(chunk.rows.subarray(keep, chunk.count));
    this.#chunks.splice(index + 1, 0, { rows, count: chunk.count - keep });
    chunk.count = keep;
  }
}

/** The first place in a chunk whose key is not below. */
function firstFrom(
  { rows, count }: { readonly rows: Int32Array; readonly count: number },
  compare: CompareToRow,
): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare(rows[middle] ?? -1) > 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
