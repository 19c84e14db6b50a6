import { SkerryError } from "@skerry/model";

/** Counts what each has open at once: event streams and byte streams together, or uploads. */
export class OpenLimit {
  readonly #most: number;
  readonly #what: string;
  readonly #open = new Map<string, number>();

  /** @param what in words: "streams" */
  constructor(most: number, what: string) {
    this.#most = most;
    this.#what = what;
  }

  /** Counts one more until disposed. @throws SkerryError too-many-requests, which no waiting ends by itself */
  enter(key: string): Disposable {
    const count = this.#open.get(key) ?? 0;
    if (count >= this.#most) {
      throw new SkerryError("too-many-requests", `You have ${count} ${this.#what} open already, which is the most.`, {
        remedy: "Close some.",
        facts: { limit: this.#what, most: this.#most },
      });
    }
    this.#open.set(key, count + 1);
    return { [Symbol.dispose]: () => this.#leave(key) };
  }

  #leave(key: string): void {
    const left = (this.#open.get(key) ?? 1) - 1;
    if (left === 0) this.#open.delete(key);
    else this.#open.set(key, left);
  }
}
