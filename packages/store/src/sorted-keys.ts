/** A set of strings that is read in order: changes cost O(1), a read O(n) of it where keys came or went since the last. */
export class SortedKeys {
  #sorted: string[] = [];
  readonly #added = new Set<string>();
  readonly #removed = new Set<string>();

  /** Only for a key that is not in the set. */
  add(key: string): void {
    if (!this.#removed.delete(key)) this.#added.add(key);
  }

  /** Only for a key that is in the set. */
  remove(key: string): void {
    if (!this.#added.delete(key)) this.#removed.add(key);
  }

  /** The keys in order, those with the prefix only where one is given. */
  list(prefix?: string): readonly string[] {
    this.#settle();
    if (prefix === undefined) return this.#sorted;
    const start = this.#firstFrom(prefix);
    let end = start;
    while (this.#sorted[end]?.startsWith(prefix) === true) end++;
    return this.#sorted.slice(start, end);
  }

  #settle(): void {
    if (this.#removed.size > 0) {
      this.#sorted = this.#sorted.filter((key) => !this.#removed.has(key));
      this.#removed.clear();
    }
    if (this.#added.size > 0) {
      // Two sorted runs one after the other, which the engine's sort merges in O(n).
      this.#sorted = [...this.#sorted, ...[...this.#added].sort()].sort();
      this.#added.clear();
    }
  }

  #firstFrom(key: string): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sorted[middle] ?? "") < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
