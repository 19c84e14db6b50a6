import { SkerryError } from "@skerry/model";
import type { CommitLog } from "./commit-log.ts";
import type { ChangeEvent } from "./store.ts";

/** How many of the newest changes are kept in memory, so that consumers that keep up never touch the disk. */
const recentLimit = 2048;
const pageSize = 500;

/**
 * Durable changes for any number of consumers. Each pulls at its own pace with nothing but a place in the log, so a
 * slow one costs no memory.
 */
export class Feed {
  readonly #log: Pick<CommitLog, "read">;
  readonly #keep: number;
  #recent: ChangeEvent[] = [];
  #revision: number;
  #trimmedThrough: number;
  #closed = false;
  readonly #sleepers = new Set<() => void>();

  /** @param keep how many changes the log keeps @param trimmedThrough the newest revision that it no longer has */
  constructor(log: Pick<CommitLog, "read">, revision: number, keep: number, trimmedThrough: number) {
    this.#log = log;
    this.#revision = revision;
    this.#keep = keep;
    this.#trimmedThrough = trimmedThrough;
  }

  /** Adds changes that became durable. */
  append(events: readonly ChangeEvent[]): void {
    for (const event of events) this.#recent.push(event);
    // Cut rarely, so that it costs O(1) per change.
    if (this.#recent.length > 2 * recentLimit) this.#recent = this.#recent.slice(-recentLimit);
    this.#revision = events.at(-1)?.revision ?? this.#revision;
    this.#trimmedThrough = Math.max(this.#trimmedThrough, this.#revision - this.#keep);
    this.#wake();
  }

  /** Ends every consumer's iteration. */
  close(): void {
    this.#closed = true;
    this.#wake();
  }

  /** See Store.changes. */
  changes(since: number, signal: AbortSignal): AsyncIterable<ChangeEvent, undefined> {
    this.#check(since);
    return this.#follow(since, signal);
  }

  async *#follow(since: number, signal: AbortSignal): AsyncGenerator<ChangeEvent, undefined> {
    let place = since;
    // A closed store's log answers no more, so that who is behind then stays behind.
    while (!signal.aborted && !this.#closed) {
      if (place === this.#revision) {
        await this.#sleep(signal);
        continue;
      }
      this.#check(place);
      const page = this.#recentAfter(place) ?? (await this.#log.read(place, pageSize));
      // A log that has lost its end would otherwise be asked for it for ever.
      if (page.length === 0) this.#check(place, this.#revision);
      for (const event of page) {
        if (signal.aborted) return;
        if (event.revision !== place + 1) this.#check(place, event.revision - 1);
        yield event;
        place = event.revision;
      }
    }
  }

  /** The next page where memory still has it. */
  #recentAfter(place: number): readonly ChangeEvent[] | undefined {
    const first = this.#recent[0]?.revision;
    if (first === undefined || first > place + 1) return undefined;
    return this.#recent.slice(place + 1 - first, place + 1 - first + pageSize);
  }

  #check(place: number, trimmedThrough: number = this.#trimmedThrough): void {
    if (place >= trimmedThrough && place <= this.#revision) return;
    const cause =
      place > this.#revision
        ? `Revision ${place} is ahead of this store, which is at ${this.#revision}: it was restored from a backup, or it is another.`
        : `Changes since revision ${place} are no longer kept; the oldest kept is ${trimmedThrough + 1}.`;
    throw new SkerryError("revision-too-old", cause, {
      remedy: "List the objects anew and follow the changes from the revision of that list.",
      facts: { since: place, oldest: trimmedThrough, newest: this.#revision },
    });
  }

  #sleep(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#sleepers.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#sleepers.add(done);
      signal.addEventListener("abort", done);
    });
  }

  #wake(): void {
    for (const done of this.#sleepers) done();
  }
}
