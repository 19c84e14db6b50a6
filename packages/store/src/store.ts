import type { KindName, ResourceOf } from "@skerry/model";

/** Names one object: by project and name for kinds in a project, else by name. */
export interface Key {
  readonly project?: string | undefined;
  readonly name: string;
}

/** One committed change, as the feed gives it: every revision exactly once, in order. */
export interface ChangeEvent {
  readonly revision: number;
  readonly kind: KindName;
  readonly id: string;
  readonly project: string | undefined;
  readonly name: string;
  readonly type: "created" | "updated" | "deleted";
  /** The object after the change; before it, for `deleted`. */
  readonly object: ResourceOf<KindName>;
}

/** Typed reads of one consistent state; objects are immutable and shared, never copied. O(1) get, O(n) list. */
export interface View {
  readonly revision: number;
  get<K extends KindName>(kind: K, key: Key): ResourceOf<K> | undefined;
  getById<K extends KindName>(kind: K, id: string): ResourceOf<K> | undefined;
  /** In order of (project, name). */
  list<K extends KindName>(kind: K, project?: string): readonly ResourceOf<K>[];
}

/** What a transaction's function works with: reads see every earlier transaction and its own writes. */
export interface Transaction extends View {
  /**
   * Creates or replaces. The store sets `metadata.revision` and `updatedAt`; the caller owns all else.
   * @throws SkerryError already-exists where another id holds the name
   */
  put<K extends KindName>(object: ResourceOf<K>): ResourceOf<K>;
  delete(kind: KindName, id: string): void;
}

export interface Committed<T> {
  readonly revision: number;
  readonly changes: readonly ChangeEvent[];
  readonly result: T;
}

/**
 * Objects and their revision log. Reads (`View`) show only what is durable; transactions run one at a time on the
 * newest state, durable or in flight. Every backend passes `storeContract`.
 */
export interface Store extends View {
  /**
   * Runs `work` synchronously and resolves once its changes are fsynced; a transaction without changes resolves at once
   * after all that it could have read is durable. Whatever `work` throws rejects and leaves no trace. When the disk fails,
   * every transaction in flight rejects with `storage-full` or `unavailable` and the state goes back to the durable one.
   */
  transact<T>(work: (tx: Transaction) => T): Promise<Committed<T>>;
  /** Runs `work` and throws its changes away: for plans. */
  rehearse<T>(work: (tx: Transaction) => T): Committed<T>;
  /**
   * Every durable change after `since`, in order, none skipped, none twice, until the signal aborts.
   * @throws SkerryError revision-too-old where the log no longer reaches back
   */
  changes(since: number, signal: AbortSignal): AsyncIterable<ChangeEvent>;
  /** Calls back synchronously after each durable change, in order; for controllers. Returns how to stop. */
  subscribe(listener: (events: readonly ChangeEvent[]) => void): () => void;
  close(): Promise<void>;
}
