import type { KindName, ResourceOf } from "@skerry/model";
import {
  withWrites,
  type AuditNote,
  type Before,
  type ChangeEvent,
  type Committed,
  type Store,
  type Tracker,
  type Transaction,
} from "@skerry/store";

/** When a process dies: just before or just after its n-th transaction (from 0) becomes durable. */
export interface Death {
  readonly transaction: number;
  readonly when: "before" | "after";
}

/** Sees what a transaction has put, just before and just after it becomes durable, and answers whether the process dies there. */
export type Watch = (when: Death["when"], written: readonly ResourceOf<KindName>[]) => boolean;

/**
 * The store as one run of the server sees it. Once dead, nothing of that run happens any more: its transactions neither run nor
 * answer, and it hears of no change; the store itself lives on for the next run.
 */
export class MortalStore implements Store {
  readonly #store: Store;
  #death: Death | undefined;
  #begun = 0;
  #inFlight = 0;
  dead = false;
  watch: Watch = () => false;

  constructor(store: Store, death?: Death) {
    this.#store = store;
    this.#death = death;
  }

  /** Transactions that it still waits for. */
  get inFlight(): number {
    return this.dead ? 0 : this.#inFlight;
  }

  get transactions(): number {
    return this.#begun;
  }

  /** Dies at a later transaction, counted from now. */
  dieAt({ transaction, when }: Death): void {
    this.#death = { transaction: this.#begun + transaction, when };
  }

  kill(): void {
    this.dead = true;
  }

  get revision(): number {
    return this.#store.revision;
  }

  get documents(): Store["documents"] {
    return this.#store.documents;
  }

  get audit(): Store["audit"] {
    return this.#store.audit;
  }

  get zoneId(): string {
    return this.#store.zoneId;
  }

  get: Store["get"] = (kind, key) => this.#store.get(kind, key);
  getById: Store["getById"] = (kind, id) => this.#store.getById(kind, id);
  list: Store["list"] = (kind, project) => this.#store.list(kind, project);
  scan: Store["scan"] = (kind) => this.#store.scan(kind);
  plains: Store["plains"] = (kind, visit) => this.#store.plains(kind, visit);
  notables: Store["notables"] = (kind) => this.#store.notables(kind);
  rehearse: Store["rehearse"] = (work) => this.#store.rehearse(work);
  changes: Store["changes"] = (since, signal) => this.#store.changes(since, signal);
  close: Store["close"] = () => Promise.resolve();

  async transact<T>(work: (tx: Transaction) => T, note?: AuditNote): Promise<Committed<T>> {
    const number = this.#begun++;
    if (number === this.#death?.transaction && this.#death.when === "before") this.kill();
    if (this.dead) return never();
    this.#inFlight++;
    try {
      const written: ResourceOf<KindName>[] = [];
      const committed = await this.#store.transact((tx) => {
        const result = work(recording(tx, written));
        if (!this.watch("before", written)) return result;
        this.kill();
        throw new Error("died before the commit");
      }, note);
      if (number === this.#death?.transaction || (!this.dead && this.watch("after", written))) this.kill();
      return this.dead ? await never<Committed<T>>() : committed;
    } catch (error) {
      if (this.dead) return await never<Committed<T>>();
      throw error;
    } finally {
      this.#inFlight--;
    }
  }

  track(tracker: Tracker): () => void {
    return this.#store.track({
      reset: (newest) => {
        if (!this.dead) tracker.reset(newest);
      },
      conclude: (tx, nowMs) => {
        if (!this.dead) tracker.conclude?.(tx, nowMs);
      },
      applied: (events, newest, before) => {
        if (!this.dead) tracker.applied(events, newest, before);
      },
    });
  }

  subscribe(listener: (events: readonly ChangeEvent[], before: Before) => void): () => void {
    return this.#store.subscribe((events, before) => {
      if (!this.dead) listener(events, before);
    });
  }
}

function recording(tx: Transaction, written: ResourceOf<KindName>[]): Transaction {
  const noted = <R extends ResourceOf<KindName>>(stored: R): R => {
    written.push(stored);
    return stored;
  };
  return withWrites(tx, { put: (object) => noted(tx.put(object)), amend: (object) => noted(tx.amend(object)) });
}

function never<T>(): Promise<T> {
  return new Promise(() => {});
}
