import type { Leadership } from "./leadership.ts";

/**
 * Tells a dead leader from a slow database by the observer's monotonic clock alone: it must have shown no sign of life in
 * every reading of `limitMs`, readings that came often enough to have seen one.
 */
export class LeaderWatch {
  readonly #limitMs: number;
  readonly #gapMs: number;
  #last: Leadership | undefined;
  #quietSinceMs = 0;
  #readAtMs = 0;

  /** @param gapMs longest time between two readings that still count as watching */
  constructor(limitMs: number, gapMs: number) {
    this.#limitMs = limitMs;
    this.#gapMs = gapMs;
  }

  /** Takes a reading; whether the leader may be replaced. */
  isGone(seen: Leadership, monotonicMs: number): boolean {
    const before = this.#last;
    const stirred = before === undefined || before.epoch !== seen.epoch || before.renewals !== seen.renewals;
    // A pause of this process, or of the database, is no silence of the leader.
    if (stirred || monotonicMs - this.#readAtMs > this.#gapMs) this.#quietSinceMs = monotonicMs;
    this.#last = seen;
    this.#readAtMs = monotonicMs;
    return seen.holder === "" || monotonicMs - this.#quietSinceMs >= this.#limitMs;
  }

  /** Forgets what was seen. */
  reset(): void {
    this.#last = undefined;
  }
}
