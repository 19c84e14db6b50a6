import { SkerryError, type KindName, type RequestMark, type ResourceOf } from "@skerry/model";
import type { Key, Store, Transaction } from "@skerry/store";
import { checkSame, keptMs } from "./idempotency.ts";
import type { WriteOutcome } from "./writes.ts";

/**
 * Runs a write and leaves the request's mark, in the same transaction, on the first operation that it submits; where it submits none,
 * on what it changed. So a mark costs no write of its own where there are many, and is forgotten with old operations.
 */
export function recording(tx: Transaction, mark: RequestMark, run: (tx: Transaction) => WriteOutcome): WriteOutcome {
  const before = tx.revision;
  let isMarked = false;
  const outcome = run({
    get revision() {
      return tx.revision;
    },
    get: (kind, key) => tx.get(kind, key),
    getById: (kind, id) => tx.getById(kind, id),
    list: (kind, project) => tx.list(kind, project),
    scan: (kind) => tx.scan(kind),
    outlines: (kind) => tx.outlines(kind),
    notables: (kind) => tx.notables(kind),
    put: (object) => {
      if (isMarked || object.kind !== "Operation" || object.metadata.revision > 0) return tx.put(object);
      isMarked = true;
      return tx.put(marked(object, mark));
    },
    delete: (kind, id) => tx.delete(kind, id),
  });
  const { kind, metadata } = outcome.resource;
  // To cancel once more is no harm, and the mark of what submitted an operation stays.
  if (isMarked || tx.revision === before || kind === "Operation") return outcome;
  const stored = tx.getById(kind, metadata.id);
  if (stored !== undefined) tx.put(marked(stored, mark));
  return outcome;
}

function marked<R extends ResourceOf<KindName>>(object: R, request: RequestMark): R {
  return { ...object, metadata: { ...object.metadata, request } };
}

/** A request that was carried out, and what is there of what it made. */
type Carried = WriteOutcome;

/** Knows requests that were carried out before this server led, from the marks that they left. */
export class RecordedRequests {
  readonly #store: Store;
  /** Operations by the keys of their marks. Later ones are remembered by their answers. */
  #operations: Map<string, string> | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * What the same request made when it was asked for before; undefined where it was not, or longer ago than keys are kept.
   * @throws SkerryError conflict where the key was used for another request, or its answer held a secret; not-found where
   * what it made is gone
   */
  find(mark: RequestMark, kind: KindName, key: Key, nowMs: number): Carried | undefined {
    const isKnown = (known: RequestMark | undefined): known is RequestMark =>
      known !== undefined && known.key === mark.key && nowMs - Date.parse(known.at) < keptMs;
    const resource = this.#store.get(kind, key);
    const own = resource?.metadata.request;
    if (resource !== undefined && isKnown(own)) {
      checkSame(own, mark);
      const created = resource.metadata.createdAt >= own.at;
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
    return found;
  }
}

function secretWasShown(kind: KindName, { name }: Key): SkerryError {
  return new SkerryError("conflict", `The ${kind} ${name} was made before, and its secret is shown once.`, {
    remedy: "Delete it and make another where its secret did not arrive.",
  });
}
