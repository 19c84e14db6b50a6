import { randomFillSync } from "node:crypto";

/** Randomness as a dependency, so that tests repeat. */
export interface Random {
  bytes(count: number): Uint8Array;
  /** At least 0, below 1. */
  fraction(): number;
}

/** The system's, fetched in larger pieces: an identifier's bytes cost more to ask for than to make. */
class Pool {
  readonly #bytes = Buffer.alloc(4096);
  #used = this.#bytes.length;

  take(count: number): Uint8Array {
    if (count > this.#bytes.length) return randomFillSync(new Uint8Array(count));
    if (this.#used + count > this.#bytes.length) {
      randomFillSync(this.#bytes);
      this.#used = 0;
    }
    const from = this.#used;
    this.#used += count;
    const taken = Uint8Array.prototype.slice.call(this.#bytes, from, this.#used);
    // What was given out is not kept: it may be a secret.
    this.#bytes.fill(0, from, this.#used);
    return taken;
  }
}

const pool = new Pool();

export const systemRandom: Random = {
  bytes: (count) => pool.take(count),
  fraction: () => Math.random(),
};
