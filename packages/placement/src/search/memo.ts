/** What a query has found of locales: only what was written under its own stamp counts, so that many queries may share one. */
export class Memo {
  stamps = new Uint32Array(64);
  costs = new Float64Array(64);
  #stamp = 0;

  /** A new query's stamp; `locales` is how many there are. */
  begin(locales: number): number {
    if (this.stamps.length < locales) {
      this.stamps = new Uint32Array(2 * locales);
      this.costs = new Float64Array(2 * locales);
    }
    this.#stamp += 1;
    if (this.#stamp === 2 ** 32) {
      this.stamps.fill(0);
      this.#stamp = 1;
    }
    return this.#stamp;
  }
}
