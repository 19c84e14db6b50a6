/**
 * Something that tells when what a condition reads may have changed, by the ids of what changed; returns how to stop.
 */
export type WakeSource = (listener: (ids: readonly string[]) => void) => () => void;

interface Waiting {
  readonly ask: () => void;
  /** What it depends on; everything where absent. */
  readonly about: readonly string[] | undefined;
}

/**
 * Lets many conditions wait on a few sources. A condition is asked in a microtask after the sources' other listeners have run,
 * once for a burst of changes, and only if one of these concerns it: thousands may wait at little cost.
 */
export class WakeRoom {
  readonly #general = new Set<Waiting>();
  readonly #byId = new Map<string, Set<Waiting>>();
  readonly #stops: readonly (() => void)[];
  #due: Set<Waiting> | undefined;

  constructor(sources: readonly WakeSource[]) {
    this.#stops = sources.map((source) => source((ids) => this.#wake(ids)));
  }

  /**
   * Resolves with the first truthy answer of `condition`, asked now and after each change that concerns it; rejects with what it throws
   * or the signal's reason. @param about ids of all that the condition reads; where absent it is asked after every change
   */
  until<T>(condition: () => T | undefined | false, signal: AbortSignal, about?: readonly string[]): Promise<T> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#leave(waiting);
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
      const waiting: Waiting = { ask, about };
      if (signal.aborted) return reject(signal.reason as Error);
      signal.addEventListener("abort", abort, { once: true });
      this.#enter(waiting);
      ask();
    });
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }

  #enter(waiting: Waiting): void {
    if (waiting.about === undefined) this.#general.add(waiting);
    for (const id of waiting.about ?? []) {
      const others = this.#byId.get(id);
      if (others === undefined) this.#byId.set(id, new Set([waiting]));
      else others.add(waiting);
    }
  }

  #leave(waiting: Waiting): void {
    this.#general.delete(waiting);
    this.#due?.delete(waiting);
    for (const id of waiting.about ?? []) {
      const others = this.#byId.get(id);
      others?.delete(waiting);
      if (others?.size === 0) this.#byId.delete(id);
    }
  }

  #wake(ids: readonly string[]): void {
    const due = this.#due ?? new Set();
    for (const waiting of this.#general) due.add(waiting);
    for (const id of ids) for (const waiting of this.#byId.get(id) ?? []) due.add(waiting);
    if (this.#due !== undefined || due.size === 0) return;
    this.#due = due;
    queueMicrotask(() => {
      this.#due = undefined;
      for (const { ask } of due) ask();
    });
  }
}
