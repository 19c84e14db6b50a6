import { performance } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";
import { SkerryError } from "@skerry/model";
import type { Steps } from "@skerry/placement";

/** How long such work may hold the event loop at a time, and how long it may take in all of its own turns. */
const sliceMs = 4;
const mostMs = 5000;

/**
 * Does work whose parts may have others between them; one piece of such work at a time, since each has a fleet of its own in memory.
 * Whoever has several waiting gets one done for each of the others'.
 * @throws SkerryError too-large for what takes too long
 */
export class Slices {
  /** What waits, by whose it is: the first to have their turn first. */
  readonly #waiting = new Map<string, (() => Promise<void>)[]>();
  #isBusy = false;

  /**
   * @param who asks for it
   * @param begin called when its turn comes; what it takes belongs to that moment
   * @param signal that nobody waits for it any more: rejects with the signal's reason at once, and does no more of it
   */
  run<T>(who: string, begin: () => Steps<T>, signal: AbortSignal): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const giveUp = (): void => reject(signal.reason);
    if (signal.aborted) giveUp();
    else signal.addEventListener("abort", giveUp, { once: true });
    const job = async (): Promise<void> => {
      // Of what is given up it is told already.
      if (!signal.aborted) await inSlices(begin, signal).then(resolve, reject);
      signal.removeEventListener("abort", giveUp);
    };
    const own = this.#waiting.get(who);
    if (own === undefined) this.#waiting.set(who, [job]);
    else own.push(job);
    if (!this.#isBusy) void this.#work();
    return promise;
  }

  async #work(): Promise<void> {
    this.#isBusy = true;
    for (let job = this.#next(); job !== undefined; job = this.#next()) await job();
    this.#isBusy = false;
  }

  #next(): (() => Promise<void>) | undefined {
    for (const [who, [job, ...others]] of this.#waiting) {
      // Behind all others who wait.
      this.#waiting.delete(who);
      if (others.length > 0) this.#waiting.set(who, others);
      return job;
    }
    return undefined;
  }
}

async function inSlices<T>(begin: () => Steps<T>, signal: AbortSignal): Promise<T> {
  await setImmediate();
  let spentMs = 0;
  let begunMs = performance.now();
  const steps = begin();
  for (;;) {
    signal.throwIfAborted();
    const { done, value } = steps.next();
    if (done === true) return value;
    const heldMs = performance.now() - begunMs;
    if (heldMs < sliceMs) continue;
    spentMs += heldMs;
    if (spentMs > mostMs) throw tooLong();
    await setImmediate();
    begunMs = performance.now();
  }
}

function tooLong(): SkerryError {
  return new SkerryError("too-large", `It may take ${mostMs / 1000} s, and is not done by then.`, {
    remedy: "Ask for fewer placements, or fewer changes, at once.",
  });
}
