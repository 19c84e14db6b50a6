import type { Clock } from "../../src/operations/clock.ts";

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

/** A clock that stands still until it is moved. */
export class ManualClock implements Clock {
  #nowMs: number;
  #jumpedMs = 0;
  readonly #timers = new Set<Timer>();

  constructor(nowMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = nowMs;
  }

  nowMs(): number {
    return this.#nowMs + this.#jumpedMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  /** Sets the wall clock on or back, as an administrator does; no timer is due by that. */
  jump(ms: number): void {
    this.#jumpedMs += ms;
  }

  setTimer(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** When the next timer is due; undefined where there is none. */
  nextAtMs(): number | undefined {
    let next: number | undefined;
    for (const { atMs } of this.#timers) if (next === undefined || atMs < next) next = atMs;
    return next;
  }

  /** Moves to a moment and rings what is due until then, in order. */
  moveTo(atMs: number): void {
    for (;;) {
      const due = [...this.#timers]
        .filter((timer) => timer.atMs <= atMs)
        .sort((one, other) => one.atMs - other.atMs)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.callback();
    }
    this.#nowMs = Math.max(this.#nowMs, atMs);
  }
}
