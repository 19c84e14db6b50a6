import type { OwnChange, View } from "@skerry/store";

type Written = readonly OwnChange[];

/**
 * What is kept of a transaction's own changes, while it runs: brought up to date with those since it was last asked for, so that a
 * transaction of many steps does not read all of them again at each. Transactions run one at a time: it is forgotten with the next.
 */
export class OwnChanges<T> {
  readonly #begin: () => T;
  readonly #absorb: (value: T, changes: Written, tx: View) => void;
  #written: Written | undefined;
  #kept: { readonly value: T; seen: number; last: OwnChange | undefined } | undefined;

  /** @param absorb takes in changes that it has not seen, `tx` being the state right after them */
  constructor(begin: () => T, absorb: (value: T, changes: Written, tx: View) => void) {
    this.#begin = begin;
    this.#absorb = absorb;
  }

  of(written: Written, tx: View): T {
    let kept = this.#written === written ? this.#kept : undefined;
    // What was seen last may have been amended since.
    if (kept === undefined || kept.last !== written[kept.seen - 1]) {
      this.#written = written;
      this.#kept = kept = { value: this.#begin(), seen: 0, last: undefined };
    }
    if (kept.seen < written.length) {
      this.#absorb(kept.value, written.slice(kept.seen), tx);
      kept.seen = written.length;
      kept.last = written.at(-1);
    }
    return kept.value;
  }
}
