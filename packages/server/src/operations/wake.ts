/** Something that tells when what a condition reads may have changed; returns how to stop. */
export type WakeSource = (listener: () => void) => () => void;

/**
 * Lets many conditions wait on a few sources. Conditions are asked in a microtask after the sources' other listeners have
 * run, once for a burst of changes; the cost is one call per waiting condition and burst.
 */
export class WakeRoom {
  readonly #waiting = new Set<() => void>();
  readonly #stops: readonly (() => void)[];
  #scheduled = false;

  constructor(sources: readonly WakeSource[]) {
    this.#stops = sources.map((source) => source(() => this.wake()));
  }

  /** Resolves with the first truthy answer of `condition`, asked now and at each wake; rejects with what it throws or the signal's reason. */
  until<T>(condition: () => T | undefined | false, signal: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(ask);
        signal.removeEventListener("abort", abort);
      };
      const abort = () => {
        leave();
        reject(signal.reason as Error);
      };
      const ask = () => {
        try {
          const answer = condition();
          if (answer === undefined || answer === false) return;
          leave();
          resolve(answer);
        } catch (error) {
          leave();
          reject(error);
        }
      };
      if (signal.aborted) return reject(signal.reason as Error);
      signal.addEventListener("abort", abort, { once: true });
      this.#waiting.add(ask);
      ask();
    });
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }

  /** Has all waiting conditions asked soon. */
  wake(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      for (const ask of [...this.#waiting]) ask();
    });
  }
}
