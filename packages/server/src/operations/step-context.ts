import type { OperationResource } from "@skerry/model";
import type { Store } from "@skerry/store";
import type { Clock } from "./clock.ts";
import type { StepContext } from "./operation-kind.ts";
import { addsNothing, type ProgressBook, type ProgressUpdate } from "./progress.ts";
import type { WakeRoom } from "./wake.ts";

export interface StepContextDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly progress: ProgressBook;
  readonly wakes: WakeRoom;
}

/** What one attempt at a step works with. Once `signal` aborts it writes nothing more, even if the step goes on. */
export function makeStepContext(
  deps: StepContextDeps,
  operation: OperationResource,
  step: number,
  signal: AbortSignal,
  about?: readonly string[],
): StepContext {
  const { id } = operation.metadata;
  const notes: Record<string, unknown> = { ...operation.status.notes };
  const store = fenced(deps.store, signal);
  const noteIn: StepContext["noteIn"] = (tx, facts) => {
    const current = tx.getById("Operation", id);
    if (current === undefined) return;
    const status = deps.progress.take(current);
    tx.put({ ...current, status: { ...status, notes: { ...status.notes, ...facts } } });
  };
  let said: ProgressUpdate = operation.status.steps[step] ?? {};
  return {
    operation,
    store,
    notes,
    nowMs: () => deps.clock.nowMs(),
    async note(facts) {
      await store.transact((tx) => noteIn(tx, facts));
      Object.assign(notes, facts);
    },
    noteIn,
    progress(update) {
      if (signal.aborted || addsNothing(said, update)) return;
      said = { ...said, ...update };
      deps.progress.set(id, step, update);
    },
    until: (condition) => deps.wakes.until(() => condition(store), signal, about),
    async within(limitMs, condition) {
      const late = new AbortController();
      const cancel = deps.clock.setTimer(limitMs, () => late.abort());
      try {
        return await deps.wakes.until(() => condition(store), AbortSignal.any([signal, late.signal]), about);
      } catch (error) {
        signal.throwIfAborted();
        if (late.signal.aborted) return undefined;
        throw error;
      } finally {
        cancel();
      }
    },
  };
}

/** The same store, in which nothing can be written once the signal has aborted. */
function fenced(store: Store, signal: AbortSignal): Store {
  return {
    get revision() {
      return store.revision;
    },
    zoneId: store.zoneId,
    get: (kind, key) => store.get(kind, key),
    getById: (kind, id) => store.getById(kind, id),
    list: (kind, project) => store.list(kind, project),
    scan: (kind) => store.scan(kind),
    plains: (kind, visit) => store.plains(kind, visit),
    notables: (kind) => store.notables(kind),
    rehearse: (work) => store.rehearse(work),
    changes: (since, until) => store.changes(since, until),
    subscribe: (listener) => store.subscribe(listener),
    documents: store.documents,
    audit: store.audit,
    track: (tracker) => store.track(tracker),
    close: () => Promise.reject(new Error("a step may not close the store")),
    async transact(work, note) {
      signal.throwIfAborted();
      return store.transact((tx) => {
        signal.throwIfAborted();
        return work(tx);
      }, note);
    },
  };
}
