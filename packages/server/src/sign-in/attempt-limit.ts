import { createHmac, randomBytes } from "node:crypto";
import { SkerryError } from "@skerry/model";
import type { Clock } from "../operations/clock.ts";

/** How many tries may be made at once, and how soon there may be another. */
export interface Allowance {
  readonly burst: number;
  readonly refillMs: number;
}

/** What a try counts for. */
export interface Source {
  readonly name: string;
  readonly allowance: Allowance;
}

const slots = 65_536;

/**
 * Slows down who guesses what can be guessed: a try is only made where there is room for it, right or wrong, and what was right is given
 * back. Sources share a fixed table by a keyed hash: memory is bounded, nobody can push another's count out of it, and
 * what there is of a user's name makes no difference.
 */
export class AttemptLimit {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #key = randomBytes(32);
  /** How many tries were made of what is allowed, as of `#atMs`. */
  readonly #used = new Float64Array(slots);
  readonly #atMs = new Float64Array(slots);

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /**
   * Counts a try for each source.
   * @returns how to give it back, once it was right
   * @throws SkerryError too-many-requests where one of them has no room; then none is counted
   */
  take(sources: readonly Source[]): () => void {
    const nowMs = this.#clock.monotonicMs();
    const taken = sources.map(({ name, allowance }) => ({ slot: this.#slotOf(name), allowance }));
    const waitMs = Math.max(0, ...taken.map(({ slot, allowance }) => this.#waitMs(slot, allowance, nowMs)));
    if (waitMs > 0) {
      const retryAfterSeconds = Math.ceil(waitMs / 1000);
      throw new SkerryError("too-many-requests", "Too many wrong tries were made for this name, or from here.", {
        remedy: `Try again in ${retryAfterSeconds} s.`,
        facts: { retryAfterSeconds },
      });
    }
    for (const { slot } of taken) this.#used[slot] = (this.#used[slot] ?? 0) + 1;
    return () => {
      for (const { slot } of taken) this.#used[slot] = Math.max(0, (this.#used[slot] ?? 0) - 1);
    };
  }

  #waitMs(slot: number, { burst, refillMs }: Allowance, nowMs: number): number {
    const elapsedMs = nowMs - (this.#atMs[slot] ?? 0);
    const used = Math.max(0, (this.#used[slot] ?? 0) - elapsedMs / refillMs);
    this.#used[slot] = used;
    this.#atMs[slot] = nowMs;
    return used + 1 <= burst ? 0 : (used + 1 - burst) * refillMs;
  }

  #slotOf(name: string): number {
    return createHmac("sha256", this.#key).update(name).digest().readUInt32BE(0) % slots;
  }
}
