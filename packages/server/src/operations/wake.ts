/**
 * Something that tells when what a condition reads may have changed, by the ids of what changed; returns how to stop.
 */
export type WakeSource = (listener: (ids: readonly string[]) => void) => () => void;

/** Somebody who waits for a change. */
export interface Waiting {
  ask(): void;
  /** What it depends on; everything where absent. */
  readonly about: readonly string[] | undefined;
}

/**
 * Lets many conditions wait on a few sources. A condition is asked in a microtask after the sources' other listeners have run,
 * once for a burst of changes, and only if one of these concerns it: thousands may wait at little cost.
 */
export class WakeRoom {
  readonly #general = new Set<Waiting>();
  /** Most ids have one who waits for them. */
  readonly #byId = new Map<string, Waiting | Set<Waiting>>();
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
        this.leave(waiting);
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
      this.enter(waiting);
      ask();
    });
  }

  /** From now on it is asked after changes that concern it, and may still be once right after it has left. */
  enter(waiting: Waiting): void {
    if (waiting.about === undefined) this.#general.add(waiting);
    for (const id of waiting.about ?? []) {
      const others = this.#byId.get(id);
      if (others === undefined) this.#byId.set(id, waiting);
      else if (others instanceof Set) others.add(waiting);
      else this.#byId.set(id, new Set([others, waiting]));
    }
  }

  leave(waiting: Waiting): void {
    this.#general.delete(waiting);
    this.#due?.delete(waiting);
    for (const id of waiting.about ?? []) {
      const others = this.#byId.get(id);
      if (others instanceof Set) others.delete(waiting);
      if (others === waiting || (others instanceof Set && others.size === 0)) this.#byId.delete(id);
    }
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }

  #wake(ids: readonly string[]): void {
    const due = this.#due ?? new Set();
    for (const waiting of this.#general) due.add(waiting);
    for (const id of ids) {
      const waiting = this.#byId.get(id);
      if (waiting instanceof Set) for (const each of waiting) due.add(each);
      else if (waiting !== undefined) due.add(waiting);
    }
    if (this.#due !== undefined || due.size === 0) return;
    this.#due = due;
    queueMicrotask(() => {
      this.#due = undefined;
      for (const waiting of due) waiting.ask();
    });
  }
}
