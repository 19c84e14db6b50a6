import { SkerryError, keptRequestMarks, type KindName, type RequestMark, type ResourceOf } from "@skerry/model";
import { withWrites, type ChangeEvent, type Key, type Store, type Transaction } from "@skerry/store";
import { checkSame, keptMs } from "./idempotency.ts";
import type { WriteOutcome } from "./writes.ts";

/**
 * Runs a write and leaves the request's mark, in the same transaction, on the first operation that it submits; where it submits none,
 * on what it changed. So a mark costs no change of its own, and is forgotten with old operations.
 */
export function recording(tx: Transaction, mark: RequestMark, run: (tx: Transaction) => WriteOutcome): WriteOutcome {
  const before = tx.revision;
  let isMarked = false;
  const put: Transaction["put"] = (object) => {
    if (isMarked || object.kind !== "Operation" || object.metadata.revision > 0) return tx.put(object);
    isMarked = true;
    return tx.put(marked(object, mark));
  };
  const outcome = run(withWrites(tx, { put }));
  const { kind, metadata } = outcome.resource;
  // To cancel once more is no harm, and the mark of what submitted an operation stays.
  if (isMarked || tx.revision === before || kind === "Operation") return outcome;
  const stored = tx.getById(kind, metadata.id);
  if (stored !== undefined) tx.amend(marked(stored, mark));
  return outcome;
}

function marked<R extends ResourceOf<KindName>>(object: R, mark: RequestMark): R {
  if (object.kind === "Operation") return { ...object, metadata: { ...object.metadata, request: mark } };
  const { request: _moved, ...metadata } = object.metadata;
  const atMs = Date.parse(mark.at);
  const earlier = marksOf(object).filter(({ at }) => atMs - Date.parse(at) < keptMs);
  return { ...object, metadata: { ...metadata, requests: [...earlier.slice(1 - keptRequestMarks), mark] } };
}

/** Oldest first. */
function marksOf({ metadata: { request, requests = [] } }: ResourceOf<KindName>): readonly RequestMark[] {
  return request === undefined ? requests : [request, ...requests];
}

/** A request that was carried out, and what is there of what it made. */
type Carried = WriteOutcome;

/** Knows requests that were carried out from the marks that they left: before this server led, or so many ago that their answers are gone. */
export class RecordedRequests {
  readonly #store: Store;
  readonly #stopping: AbortSignal;
  /** Ids of all operations that have a mark, by its key; made when first asked, and kept up from then on. */
  #operations: Map<string, string> | undefined;

  constructor(store: Store, stopping: AbortSignal) {
    this.#store = store;
    this.#stopping = stopping;
  }

  /**
   * What the same request made when it was asked for before; undefined where it was not, longer ago than keys are kept, or where its
   * mark gave way to newer ones.
   * @throws SkerryError conflict where the key was used for another request, or its answer held a secret; not-found where
   * what it made is gone
   */
  find(mark: RequestMark, kind: KindName, key: Key, nowMs: number): Carried | undefined {
    const isKnown = (known: RequestMark | undefined): known is RequestMark =>
      known !== undefined && known.key === mark.key && nowMs - Date.parse(known.at) < keptMs;
    const resource = this.#store.get(kind, key);
    const marks = resource === undefined ? [] : marksOf(resource);
    const own = marks.find(isKnown);
    if (resource !== undefined && own !== undefined) {
      checkSame(own, mark);
      // What made it was the first to mark it.
      const created = own === marks[0] && resource.metadata.createdAt >= own.at;
      if (created && (kind === "ApiToken" || kind === "JoinToken")) throw secretWasShown(kind, key);
      return { resource, created };
    }
    this.#operations ??= this.#index();
    const id = this.#operations.get(mark.key);
    const operation = id === undefined ? undefined : this.#store.getById("Operation", id);
    const submitted = operation?.metadata.request;
    if (operation === undefined || !isKnown(submitted)) return undefined;
    checkSame(submitted, mark);
    if (resource === undefined) {
      throw new SkerryError("not-found", `This was done before; the ${kind} ${key.name} is gone since.`, {
        remedy: `See what became of it: skerry operation show ${operation.metadata.name}`,
      });
    }
    return { resource, operation, created: false };
  }

  #index(): Map<string, string> {
    const found = new Map<string, string>();
    for (const { metadata } of this.#store.scan("Operation"))
      if (metadata.request !== undefined) found.set(metadata.request.key, metadata.id);
    const stop = this.#store.subscribe((events) => keepUp(found, events));
    this.#stopping.addEventListener("abort", stop, { once: true });
    return found;
  }
}

/** So that it holds no more than there are operations. A few ns for each change that is none of an operation's. */
function keepUp(operations: Map<string, string>, events: readonly ChangeEvent[]): void {
  for (const { kind, type, id, object } of events) {
    if (kind !== "Operation" || type === "updated") continue;
    const key = object.metadata.request?.key;
    if (key === undefined) continue;
    if (type === "created") operations.set(key, id);
    // An hour later the same key may have submitted another one.
    else if (operations.get(key) === id) operations.delete(key);
  }
}

function secretWasShown(kind: KindName, { name }: Key): SkerryError {
  return new SkerryError("conflict", `The ${kind} ${name} was made before, and its secret is shown once.`, {
    remedy: "Delete it and make another where its secret did not arrive.",
  });
}
