import { longer } from "./typed-arrays.ts";

/** Rows by a number that each has: 4 to 12 bytes a row, and a change costs the same however many share it. */
export class RowGroups {
  readonly #groups: { rows: Int32Array; count: number }[] = [];
  /** By row: its place in its group. */
  #places = new Int32Array(64);

  add(group: number, row: number): void {
    const members = (this.#groups[group] ??= { rows: new Int32Array(4), count: 0 });
    if (members.count === members.rows.length) members.rows = longer(members.rows);
    while (row >= this.#places.length) this.#places = longer(this.#places);
    this.#places[row] = members.count;
    members.rows[members.count++] = row;
  }

  /** Only for a row that is in the group. */
  remove(group: number, row: number): void {
    const members = this.#groups[group];
    const place = this.#places[row] ?? -1;
    if (members?.rows[place] !== row) throw new Error(`row ${row} is not in group ${group}`);
    const last = members.rows[--members.count] ?? -1;
    members.rows[place] = last;
    this.#places[last] = place;
  }

  /** Of a group, in no order; good until the next change. */
  rows(group: number): Int32Array {
    const members = this.#groups[group];
    return members === undefined ? new Int32Array(0) : members.rows.subarray(0, members.count);
  }
}
