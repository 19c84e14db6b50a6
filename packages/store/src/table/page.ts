import { crc32 } from "node:zlib";
import type { ObjectRow } from "../rows.ts";

/**
 * Records of one kind in one buffer, as a table keeps them: lengths of id and name key, 2 bytes each, then both, then the body.
 * Made where rows are read, which may be another thread, and then taken over as it is.
 */
export interface Page {
  readonly kind: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** By record: where it ends, its revision. */
  readonly ends: Uint32Array<ArrayBuffer>;
  readonly revisions: Float64Array<ArrayBuffer>;
}

/** Rows as they were read, in order: all those that are as their checksums say, and what is odd about the first one that is not. */
export interface PackedRows {
  readonly pages: readonly Page[];
  readonly count: number;
  /** Of the rows' sums, modulo 2^32. */
  readonly sum: number;
  /** Its checksum is not its content's, or its names have a length that no name has. */
  readonly odd: ObjectRow | undefined;
  /** Where the next rows begin; undefined behind the last. */
  readonly next: { readonly kind: string; readonly id: string } | undefined;
}

/** Columns of a row as they were read: kind, id, project, name, revision, body, sum. */
export type ReadRow = readonly [string, string, string | null, string, number, string, number];

/** Of a record: the lengths of id and name key, 2 bytes each. */
export const headerBytes = 4;
const longestKey = 0xffff;

/** Packs rows; about 3 us each, most of it the checksum. */
export class Packer {
  #scratch = Buffer.allocUnsafeSlow(2 ** 20);

  pack(rows: readonly ReadRow[]): PackedRows {
    const pages: Page[] = [];
    let sum = 0;
    let count = 0;
    let odd: ObjectRow | undefined;
    for (let from = 0; from < rows.length && odd === undefined;) {
      const kind = rows[from]?.[0] ?? "";
      let to = from;
      while (rows[to]?.[0] === kind) to++;
      const ends = new Uint32Array(to - from);
      const revisions = new Float64Array(to - from);
      let used = 0;
      let packed = 0;
      for (const row of rows.slice(from, to)) {
        const end = this.#write(row, used);
        if (end === -1) {
          odd = toObjectRow(row);
          break;
        }
        used = end;
        ends[packed] = end;
        revisions[packed++] = row[4];
        sum = (sum + row[6]) >>> 0;
      }
      const bytes = new Uint8Array(used);
      bytes.set(this.#scratch.subarray(0, used));
      pages.push({ kind, bytes, ends: ends.slice(0, packed), revisions });
      count += packed;
      from = to;
    }
    const last = rows.at(-1);
    return { pages, count, sum, odd, next: last === undefined ? undefined : { kind: last[0], id: last[1] } };
  }

  /** Returns where the record ends; -1 for a row that is not as its checksum says. */
  #write([kind, id, project, name, revision, body, sum]: ReadRow, start: number): number {
    const key = `${project ?? ""} ${name}`;
    const most = headerBytes + 3 * (id.length + key.length + body.length);
    if (start + most > this.#scratch.length) this.#grow(start + most);
    const scratch = this.#scratch;
    const keyStart = start + headerBytes + scratch.write(id, start + headerBytes);
    const bodyStart = keyStart + scratch.write(key, keyStart);
    const end = bodyStart + scratch.write(body, bodyStart);
    if (bodyStart - start > longestKey) return -1;
    scratch.writeUInt16LE(keyStart - start - headerBytes, start);
    scratch.writeUInt16LE(bodyStart - keyStart, start + 2);
    // The same bytes that `objectSum` sums up.
    const head = crc32(`${kind}\0${id}\0${project ?? ""}\0${name}\0${revision}\0`);
    return crc32(scratch.subarray(bodyStart, end), head) === sum ? end : -1;
  }

  #grow(bytes: number): void {
    const larger = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(bytes)));
    this.#scratch.copy(larger);
    this.#scratch = larger;
  }
}

function toObjectRow([kind, id, project, name, revision, body, sum]: ReadRow): ObjectRow {
  return { kind, id, project, name, revision, body, sum };
}

/** What a thread hands over with a page instead of copying it. */
export function buffersOf({ pages }: PackedRows): ArrayBuffer[] {
  return pages.flatMap(({ bytes, ends, revisions }) => [bytes.buffer, ends.buffer, revisions.buffer]);
}

/** 16 bits, little end first; Buffer's own does the same in ten times the time. */
export function shortAt(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
}
