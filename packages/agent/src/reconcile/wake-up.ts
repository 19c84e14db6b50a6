import { setTimeout as delay } from "node:timers/promises";

/** Wakes one sleeper; a call that comes while it is awake counts for its next sleep. */
export class WakeUp {
  #called = false;
  #wake: (() => void) | undefined;

  now(): void {
    this.#called = true;
    this.#wake?.();
  }

  /** Sleeps for `waitMs` or until called, and then `gatherMs` more, for other calls to come. Returns early when aborted. */
  async wait(waitMs: number, gatherMs: number, signal: AbortSignal): Promise<void> {
    if (!this.#called && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = (): void => resolve();
      this.#wake = wake;
      const timer = setTimeout(wake, waitMs);
      signal.addEventListener("abort", wake, { once: true });
      await promise;
      signal.removeEventListener("abort", wake);
      clearTimeout(timer);
      this.#wake = undefined;
    }
    // An abort ends the pause, and is seen by the caller.
    await delay(gatherMs, undefined, { signal }).catch(() => undefined);
    this.#called = false;
  }
}
