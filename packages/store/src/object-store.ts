import { SkerryError } from "@skerry/model";
import type { KindName, ResourceOf } from "@skerry/model";
import { LostLeadership, type CommitLog } from "./commit-log.ts";
import { Feed } from "./feed.ts";
import type { AuditNote, AuditTrail } from "./audit/note.ts";
import { notedOf } from "./audit/noted.ts";
import type { Noted } from "./audit/record.ts";
import type { TracedChange } from "./object.ts";
import { Overlay } from "./overlay.ts";
import type { BaseState } from "./state.ts";
import type { OutlinedKind, Plains } from "./outline.ts";
import type { Before, ChangeEvent, Committed, Documents, Key, Store, Tracker, Transaction } from "./store.ts";
import { runTransaction } from "./transaction.ts";

export interface ObjectStoreParts {
  readonly log: CommitLog;
  readonly zoneId: string;
  /** What the log's database holds now; the store owns it from here on. */
  readonly durable: BaseState;
  /** How many changes the log keeps, and the newest revision that it no longer has. */
  readonly keep: number;
  readonly trimmedThrough: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** A transaction that has run and waits until all that it saw and did is durable. */
interface Waiting {
  readonly revision: number;
  readonly settle: () => void;
  readonly reject: (cause: SkerryError) => void;
}

/**
 * A store over any backend: all objects in memory, one commit in flight, and everything that comes meanwhile in the
 * next one (group commit), so that the cost of an fsync is shared by all who wait for it.
 */
export class ObjectStore implements Store {
  readonly zoneId: string;
  readonly #log: CommitLog;
  readonly #now: () => number;
  readonly #durable: BaseState;
  /** The durable state and what is in flight or staged. */
  readonly #head: Overlay;
  readonly #feed: Feed;
  readonly #listeners = new Set<(events: readonly ChangeEvent[], before: Before) => void>();
  readonly #trackers = new Set<Tracker>();
  #staged: TracedChange[] = [];
  /** Which of the staged transactions leave a record. */
  #noted: Noted[] = [];
  /** In order of their revisions. */
  #waiting: Waiting[] = [];
  #working = false;
  /** Ends when nothing is staged any more. */
  #flushing: Promise<void> | undefined;
  /** Why no more transactions are taken, ever. */
  #ended: SkerryError | undefined;
  /** Why none are taken now. */
  #paused: SkerryError | undefined;
  #closing: Promise<void> | undefined;

  constructor(parts: ObjectStoreParts) {
    this.zoneId = parts.zoneId;
    this.#log = parts.log;
    this.#now = parts.now;
    this.#durable = parts.durable;
    this.#head = new Overlay(parts.durable);
    this.#feed = new Feed(parts.log, parts.durable.revision, parts.keep, parts.trimmedThrough);
  }

  get audit(): AuditTrail {
    return this.#log.audit;
  }

  get documents(): Documents {
    return this.#durable;
  }

  get revision(): number {
    return this.#durable.revision;
  }

  get<K extends KindName>(kind: K, key: Key): ResourceOf<K> | undefined {
    return this.#durable.get(kind, key);
  }

  getById<K extends KindName>(kind: K, id: string): ResourceOf<K> | undefined {
    return this.#durable.getById(kind, id);
  }

  list<K extends KindName>(kind: K, project?: string): readonly ResourceOf<K>[] {
    return this.#durable.list(kind, project);
  }

  scan<K extends KindName>(kind: K): Iterable<ResourceOf<K>> {
    return this.#durable.scan(kind);
  }

  plains<K extends OutlinedKind>(kind: K, visit: (object: Plains[K]) => void): void {
    this.#durable.plains(kind, visit);
  }

  notables<K extends OutlinedKind>(kind: K): Iterable<ResourceOf<K>> {
    return this.#durable.notables(kind);
  }

  transact<T>(work: (tx: Transaction) => T, note?: AuditNote): Promise<Committed<T>> {
    return new Promise((resolve, reject) => {
      const refusal = this.#ended ?? this.#paused;
      if (refusal !== undefined) throw refusal;
      let settle: () => void;
      try {
        const { result, changes } = this.#run((tx, nowMs) => {
          const made = work(tx);
          if (tx.written.length > 0) for (const tracker of this.#trackers) tracker.conclude?.(tx, nowMs);
          return made;
        });
        const events = changes.map((change) => change.event);
        this.#stage(changes, events);
        const noted = note === undefined ? undefined : notedOf(note, changes);
        if (noted !== undefined) this.#noted.push(noted);
        const revision = this.#head.revision;
        settle = () => resolve({ revision, changes: events, result });
      } catch (error) {
        // An answer made from what is not durable yet has to wait for it as well: it might never come true.
        settle = () => reject(error);
      }
      const { revision } = this.#head;
      if (revision === this.#durable.revision) settle();
      else this.#waiting.push({ revision, settle, reject });
    });
  }

  rehearse<T>(work: (tx: Transaction) => T): Committed<T> {
    const { result, changes } = this.#run(work);
    const events = changes.map((change) => change.event);
    return { revision: events.at(-1)?.revision ?? this.#head.revision, changes: events, result };
  }

  changes(since: number, signal: AbortSignal): AsyncIterable<ChangeEvent, undefined> {
    return this.#feed.changes(since, signal);
  }

  subscribe(listener: (events: readonly ChangeEvent[], before: Before) => void): () => void {
    // A function of its own, so that one listener may subscribe twice and stop once.
    const own = (events: readonly ChangeEvent[], before: Before): void => listener(events, before);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  /** Why it takes no more transactions, ever. */
  get failure(): SkerryError | undefined {
    return this.#ended;
  }

  /** Why it takes no transactions now: it was told to pause, or lost the log to another. */
  get paused(): SkerryError | undefined {
    return this.#paused;
  }

  /** Takes no transactions until `resume`; resolves when none is in flight. */
  async pause(cause: SkerryError): Promise<void> {
    this.#paused = cause;
    await this.#flushing;
  }

  resume(): void {
    this.#paused = undefined;
  }

  /** Shows changes that another has made durable, in order; only while this store is paused. */
  follow(events: readonly ChangeEvent[]): void {
    if (this.#paused === undefined || this.#flushing !== undefined)
      throw new Error("a store that writes can't follow another");
    const [first] = events;
    if (first === undefined) return;
    if (first.revision !== this.#durable.revision + 1)
      throw new Error(`revision ${first.revision} comes after ${this.#durable.revision}: one was skipped or repeated`);
    const before = events.map((event) => {
      const found = this.#durable.getById(event.kind, event.id);
      this.#durable.apply(event);
      return found;
    });
    this.#head.settle();
    for (const tracker of this.#trackers) tracker.applied(events, this.#head, before);
    this.#tell(events, before);
  }

  track(tracker: Tracker): () => void {
    this.#trackers.add(tracker);
    tracker.reset(this.#head);
    return () => this.#trackers.delete(tracker);
  }

  close(): Promise<void> {
    this.#ended ??= new SkerryError("unavailable", "The store is closed.");
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  async #finish(): Promise<void> {
    await this.#flushing;
    this.#feed.close();
    await this.#log.close();
  }

  #run<T>(work: (tx: Transaction, nowMs: number) => T): { result: T; changes: readonly TracedChange[] } {
    if (this.#working) throw new Error("a transaction was started inside another's function");
    this.#working = true;
    try {
      const nowMs = this.#now();
      return runTransaction(this.#head, nowMs, (tx) => work(tx, nowMs));
    } finally {
      this.#working = false;
    }
  }

  #stage(changes: readonly TracedChange[], events: readonly ChangeEvent[]): void {
    if (changes.length === 0) return;
    for (const event of events) this.#head.apply(event);
    for (const change of changes) this.#staged.push(change);
    this.#flushing ??= this.#flush();
    const before = changes.map((change) => change.before);
    for (const tracker of this.#trackers) tracker.applied(events, this.#head, before);
  }

  async #flush(): Promise<void> {
    // One turn of the event loop, so that all who ask in this one share the first commit too.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#staged.length > 0) {
      const batch = this.#staged;
      const noted = this.#noted;
      this.#staged = [];
      this.#noted = [];
      try {
        await this.#log.commit(batch, noted);
      } catch (error) {
        this.#revert(error);
        continue;
      }
      const events = batch.map((change) => change.event);
      for (const event of events) this.#durable.apply(event);
      this.#head.settle();
      const before = batch.map((change) => change.before);
      this.#tell(events, before);
    }
    this.#flushing = undefined;
  }

  /** Tells of changes that became durable. */
  #tell(events: readonly ChangeEvent[], before: Before): void {
    this.#feed.append(events);
    for (const listener of this.#listeners) {
      try {
        listener(events, before);
      } catch (error) {
        // A listener's defect must surface, but not here, where it would leave others without the change.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
    const { revision } = this.#durable;
    const settled = this.#waiting.findIndex((waiting) => waiting.revision > revision);
    const due = this.#waiting.splice(0, settled === -1 ? this.#waiting.length : settled);
    for (const waiting of due) waiting.settle();
  }

  /** The durable state is the state again; nobody was told of anything newer. */
  #revert(error: unknown): void {
    const cause = this.#causeOf(error);
    this.#staged = [];
    this.#noted = [];
    this.#head.clear();
    for (const tracker of this.#trackers) tracker.reset(this.#head);
    const rejected = this.#waiting;
    this.#waiting = [];
    for (const waiting of rejected) waiting.reject(cause);
  }

  #causeOf(error: unknown): SkerryError {
    if (error instanceof LostLeadership) {
      this.#paused = error.problem;
      return error.problem;
    }
    const known = error instanceof SkerryError ? error : undefined;
    const cause = known ?? new SkerryError("unavailable", "The store's database failed.", { cause: error });
    if (cause.code !== "storage-full") this.#ended ??= cause;
    return cause;
  }
}
