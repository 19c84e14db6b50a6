import { SkerryError, schemaVersionOf, timestamp } from "@skerry/model";
import type { KindName, ResourceOf } from "@skerry/model";
import { checkPlace, frozenCopy } from "./object.ts";
import type { TracedChange } from "./object.ts";
import { Overlay } from "./overlay.ts";
import type { ChangeEvent, Transaction, View } from "./store.ts";

/** What a transaction's function returned and the changes it made, applied nowhere yet. */
export interface Outcome<T> {
  readonly result: T;
  readonly changes: readonly TracedChange[];
}

/** Runs `work` over `base`, which stays as it is, and collects its changes; throws what `work` throws. */
export function runTransaction<T>(base: View, nowMs: number, work: (tx: Transaction) => T): Outcome<T> {
  const own = new Overlay(base);
  const changes: TracedChange[] = [];
  const updatedAt = timestamp(nowMs);
  let open = true;

  const record = (
    type: ChangeEvent["type"],
    revision: number,
    object: ResourceOf<KindName>,
    json: string,
    before: ResourceOf<KindName> | undefined,
    amended = false,
  ): void => {
    const { kind, metadata } = object;
    const event = {
      revision,
      kind,
      id: metadata.id,
      project: metadata.project,
      name: metadata.name,
      type,
      object,
      json,
    };
    own.apply(event);
    if (amended) changes.pop();
    changes.push({ event, timeMs: nowMs, before });
  };
  const writable = (): void => {
    if (!open) throw new Error("a transaction was used after its end");
  };

  const put = <R extends ResourceOf<KindName>>(object: R, amended?: TracedChange): R => {
    writable();
    checkPlace(object);
    const holder = own.get(object.kind, object.metadata);
    if (holder !== undefined && holder.metadata.id !== object.metadata.id) throw nameTaken(object);
    const revision = amended?.event.revision ?? own.revision + 1;
    const before = amended === undefined ? own.getById(object.kind, object.metadata.id) : amended.before;
    const type = before === undefined ? "created" : "updated";
    const schemaVersion = schemaVersionOf(object.kind);
    const versioned = schemaVersion === 1 ? { revision, updatedAt } : { revision, updatedAt, schemaVersion };
    const stored = frozenCopy({ ...object, metadata: { ...object.metadata, ...versioned } });
    record(type, revision, stored, JSON.stringify(stored), before, amended !== undefined);
    return stored;
  };

  const tx: Transaction = {
    written: changes,
    get revision() {
      return own.revision;
    },
    get: (kind, key) => own.get(kind, key),
    getById: (kind, id) => own.getById(kind, id),
    list: (kind, project) => own.list(kind, project),
    scan: (kind) => own.scan(kind),
    plains: (kind, visit) => own.plains(kind, visit),
    notables: (kind) => own.notables(kind),
    put: (object) => put(object),
    amend(object) {
      const last = changes.at(-1);
      const isOf = last?.event.id === object.metadata.id && last.event.kind === object.kind;
      return put(object, isOf && last.event.type !== "deleted" ? last : undefined);
    },
    delete(kind, id) {
      writable();
      const object = own.getById(kind, id);
      if (object !== undefined) record("deleted", own.revision + 1, object, JSON.stringify(object), object);
    },
  };

  try {
    const result = work(tx);
    if (isThenable(result))
      throw new Error("a transaction's function must be synchronous, and this one returned a promise");
    return { result, changes };
  } finally {
    open = false;
  }
}

/** The same transaction, with some of what it writes done otherwise: reads, and what is not named, go to it as they are. */
export function withWrites(
  tx: Transaction,
  writes: Partial<Pick<Transaction, "put" | "amend" | "delete">>,
): Transaction {
  return {
    written: tx.written,
    get revision() {
      return tx.revision;
    },
    get: (kind, key) => tx.get(kind, key),
    getById: (kind, id) => tx.getById(kind, id),
    list: (kind, project) => tx.list(kind, project),
    scan: (kind) => tx.scan(kind),
    plains: (kind, visit) => tx.plains(kind, visit),
    notables: (kind) => tx.notables(kind),
    put: writes.put ?? ((object) => tx.put(object)),
    amend: writes.amend ?? ((object) => tx.amend(object)),
    delete: writes.delete ?? ((kind, id) => tx.delete(kind, id)),
  };
}

function nameTaken({ kind, metadata }: ResourceOf<KindName>): SkerryError {
  const where = metadata.project === undefined ? "" : ` in project ${metadata.project}`;
  return new SkerryError("already-exists", `There is already a ${kind} named ${metadata.name}${where}.`, {
    remedy: "Choose another name, or change or delete the one that is there.",
  });
}

function isThenable(value: unknown): boolean {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}
