import { performance } from "node:perf_hooks";

/**
 * How long requests may hold the event loop before whoever else waits for it has a turn. Short, so that what they wrote is on its way
 * to the disk while the next are served, and what they made is garbage before it has grown old.
 */
const sliceMs = 5;

/**
 * Keeps a crowd of requests that came at once from holding the event loop until the last of them is done: agents' links, streams,
 * and timers have their turn after some milliseconds of it. Requests keep their order, and with few of them nobody waits.
 */
export class FairTurns {
  readonly #waiting: (() => void)[] = [];
  #begunMs: number | undefined;

  /** Undefined where the caller may go on at once. */
  enter(): Promise<void> | undefined {
    if (this.#begunMs === undefined) {
      this.#begunMs = performance.now();
      setImmediate(() => void this.#nextTurn());
    }
    if (this.#waiting.length === 0 && performance.now() - this.#begunMs < sliceMs) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async #nextTurn(): Promise<void> {
    const begunMs = performance.now();
    this.#begunMs = begunMs;
    while (this.#waiting.length > 0 && performance.now() - begunMs < sliceMs) {
      this.#waiting.shift()?.();
      // Behind all that it does before it waits for something itself.
      await new Promise<void>((resolve) => process.nextTick(resolve));
    }
    if (this.#waiting.length === 0) this.#begunMs = undefined;
    else setImmediate(() => void this.#nextTurn());
  }
}
