import { performance } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";
import { SkerryError } from "@skerry/model";
import type { Steps } from "@skerry/placement";

/** How long such work may hold the event loop at a time, and how long it may take in all of its own turns. */
const sliceMs = 4;
const mostMs = 5000;

/**
 * Does work whose parts may have others between them; one piece of such work at a time, since each has a fleet of its own in memory.
 * @throws SkerryError too-large for what takes too long
 */
export class Slices {
  #last: Promise<unknown> = Promise.resolve();

  /** @param begin called when its turn comes; what it takes belongs to that moment */
  run<T>(begin: () => Steps<T>, stopping: AbortSignal): Promise<T> {
    const turn = this.#last.then(() => inSlices(begin, stopping));
    // The next one has its turn however this one ends.
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

async function inSlices<T>(begin: () => Steps<T>, stopping: AbortSignal): Promise<T> {
  await setImmediate();
  let spentMs = 0;
  let begunMs = performance.now();
  const steps = begin();
  for (;;) {
    stopping.throwIfAborted();
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
