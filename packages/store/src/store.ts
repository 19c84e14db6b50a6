import type { KindName, ResourceOf } from "@skerry/model";
import type { AuditNote, AuditTrail } from "./audit/note.ts";
import type { OutlinedKind, Plains } from "./outline.ts";

export type { OutlinedKind } from "./outline.ts";

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
  /** The same as JSON. */
  readonly json: string;
}

/** Typed reads of one consistent state; objects are frozen and shared, never copied. O(1) get, O(n) list. */
export interface View {
  /** Of the newest change that this view shows; 0 where there never was one. */
  readonly revision: number;
  get<K extends KindName>(kind: K, key: Key): ResourceOf<K> | undefined;
  getById<K extends KindName>(kind: K, id: string): ResourceOf<K> | undefined;
  /** In order of (project, name). */
  list<K extends KindName>(kind: K, project?: string): readonly ResourceOf<K>[];
  /** The same one after the other, for sums over all: holds one at a time in memory, perhaps not frozen. Nothing may change meanwhile. */
  scan<K extends KindName>(kind: K): Iterable<ResourceOf<K>>;
  /**
   * For sums over all of a kind: shows each that has no more to it than a name, one node, one network and amounts, in order of
   * (project, name), about 0.2 us each. What is shown is good until the visit ends; nothing may change meanwhile.
   */
  plains<K extends OutlinedKind>(kind: K, visit: (object: Plains[K]) => void): void;
  /** All others, as whole objects, which are few. */
  notables<K extends OutlinedKind>(kind: K): Iterable<ResourceOf<K>>;
}

/** What an object's labels say under a key. */
export type Label = readonly [key: string, value: string];

/** A stored object as it lies there; good until the next change of the store, so within one turn of the event loop. */
export interface StoredDocument {
  readonly id: string;
  readonly key: Key;
  readonly revision: number;
  /** The node that it is assigned to. */
  readonly nodeId: string | undefined;
  /** Shared with the store: copy it, don't change it. */
  readonly json: Uint8Array;
  /** The same, typed and frozen. */
  object(): ResourceOf<KindName>;
}

/** Reads for replies, which make no objects. */
export interface Documents {
  /** How many there are; costs nothing. */
  count(kind: KindName): number;
  document(kind: KindName, key: Key): StoredDocument | undefined;
  /**
   * In order of (project, name), from behind `after`, which need not exist any more. Costs what is taken of it.
   * @param labels all that is left out lacks one of these; what is given has that one of them which fewest have
   */
  documents(kind: KindName, project?: string, after?: Key, labels?: readonly Label[]): Iterable<StoredDocument>;
  /** What is assigned to a node and not gone from there, as `documents` gives it. Costs what is there. */
  onNode(kind: OutlinedKind, nodeId: string, project?: string, after?: Key): readonly StoredDocument[];
  /** Ids of what is assigned to a node and not gone from there, in order. Costs what is there. */
  idsOnNode(kind: OutlinedKind, nodeId: string): readonly string[];
}

/** One change of a transaction, and the object that it found; undefined for what it created. */
export interface OwnChange {
  readonly event: ChangeEvent;
  readonly before: ResourceOf<KindName> | undefined;
}

/** What a transaction's function works with: reads see every earlier transaction and its own writes. */
export interface Transaction extends View {
  /** What it has changed so far, in order: one list, the transaction's own, that grows; `amend` replaces its last. */
  readonly written: readonly OwnChange[];
  /**
   * Creates or replaces the object with this id. The store sets `metadata.revision` and `updatedAt`; the caller owns all
   * else. Returns the object as stored: a frozen copy, so that what was passed in stays the caller's.
   * @throws SkerryError already-exists where another id holds the name
   */
  put<R extends ResourceOf<KindName>>(object: R): R;
  /** As `put`, but as part of this transaction's last change where that was of the same object: it stays one change of one revision. */
  amend<R extends ResourceOf<KindName>>(object: R): R;
  /** Does nothing where there is no such object. */
  delete(kind: KindName, id: string): void;
}

export interface Committed<T> {
  /** Of its last change; without changes, of the state that it read. */
  readonly revision: number;
  readonly changes: readonly ChangeEvent[];
  readonly result: T;
}

/** The objects that changes found, each as it was just before; undefined for what they created. */
export type Before = readonly (ResourceOf<KindName> | undefined)[];

/** Sums and indexes over the newest state, so that a transaction need not count. */
export interface Tracker {
  /** Count anew: at first, and when what was in flight has come to nothing. */
  reset(newest: View): void;
  /** Called at the end of each transaction that is to be committed and has changed something, in it: may change more. */
  conclude?(tx: Transaction, nowMs: number): void;
  /** These changes, in order, are in `newest` now. */
  applied(events: readonly ChangeEvent[], newest: View, before: Before): void;
}

/**
 * Objects and their revision log. Reads (`View`) show only what is durable; transactions run one at a time on the
 * newest state, durable or in flight. Every change has a revision of its own: one more than the change before it.
 * Every backend passes `storeContract`.
 */
export interface Store extends View {
  /** The durable state as JSON. */
  readonly documents: Documents;
  /** Made with the store, the same ever after: tells one control plane's revisions from another's. */
  readonly zoneId: string;
  /**
   * Runs `work` synchronously and resolves once its changes are fsynced; a transaction without changes resolves at once
   * after all that it could have read is durable. Whatever `work` throws rejects, at that same moment, and leaves no trace.
   * A full disk rejects every transaction in flight with `storage-full`, sets the state back to the durable one, and the
   * store goes on; any other failure to write rejects with `unavailable`, as does everything later: open the store anew.
   * With a note it leaves an audit record, durable in the same commit, unless it changes nothing.
   */
  transact<T>(work: (tx: Transaction) => T, note?: AuditNote): Promise<Committed<T>>;
  /** What transactions with a note left. */
  readonly audit: AuditTrail;
  /** Runs `work` on the newest state and throws its changes away: for plans. Throws what `work` throws. */
  rehearse<T>(work: (tx: Transaction) => T): Committed<T>;
  /**
   * Every durable change after `since`, in order, none skipped, none twice, until the signal aborts or the store closes.
   * A consumer may be slow: it holds nothing but its place in the log, and gets `revision-too-old` if the log leaves it behind.
   * @throws SkerryError revision-too-old, before the first change, where the log does not reach back to `since`
   */
  changes(since: number, signal: AbortSignal): AsyncIterable<ChangeEvent, undefined>;
  /**
   * Calls back synchronously after changes became durable, with all of them since the last call, in order; for
   * controllers. What a listener throws is an uncaught exception. Returns how to stop.
   */
  subscribe(listener: (events: readonly ChangeEvent[], before: Before) => void): () => void;
  /**
   * Keeps something up with the newest state, durable or in flight, which is what transactions read: `reset` at once, and `applied`
   * synchronously after each transaction that changed something. Returns how to stop.
   */
  track(tracker: Tracker): () => void;
  /** Waits for what is in flight, then lets go of the files. */
  close(): Promise<void>;
}
