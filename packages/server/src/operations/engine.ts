import { SkerryError, makeId, toProblem, type OperationResource } from "@skerry/model";
import type { ChangeEvent, Store, Transaction } from "@skerry/store";
import { isCommitted, type Bounds } from "./advance.ts";
import { timestamp, type Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import type { OperationEngine, OperationKind, OperationRequest } from "./operation-kind.ts";
import { ProgressBook } from "./progress.ts";
import type { Random } from "./random.ts";
import { beginWithin, runOperation, stepsOf, type Decision, type RunDeps } from "./run.ts";
import { Subjects, busy } from "./subjects.ts";
import { ended, isOver } from "./transitions.ts";
import { WakeRoom, type WakeSource } from "./wake.ts";
import { WatchRoom } from "./watch-room.ts";

export interface OperationEngineDeps {
  readonly store: Store;
  /** Every kind of operation there is. */
  readonly kinds: readonly OperationKind[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** What steps' conditions read besides the store. */
  readonly wakeSources?: readonly WakeSource[];
  readonly bounds?: Bounds;
  /** How many operations that are over are kept. */
  readonly keepFinished?: number;
}

const minuteMs = 60_000;
const defaultBounds: Bounds = { undoMs: 15 * minuteMs, undoFloorMs: minuteMs, forwardMs: 30 * minuteMs };
const abandonMs = 30_000;

/**
 * Runs durable operations: what each has done and does next is in the store before it is done, so that an engine made over
 * the same store goes on where a killed one stopped.
 */
export function makeOperationEngine(deps: OperationEngineDeps): OperationEngine {
  const { store, clock, random, log } = deps;
  const kinds = new Map(deps.kinds.map((kind) => [kind.type, kind]));
  const keepFinished = deps.keepFinished ?? 10_000;
  const subjects = new Subjects();
  const progress = new ProgressBook({ store, clock, log });
  const changes: WakeSource = (listener) => store.subscribe((events) => listener(events.map(({ id }) => id)));
  const wakes = new WakeRoom([changes, ...(deps.wakeSources ?? [])]);
  /** What each attempt listens with for changes of its own operation. */
  const attempts = new Map<string, () => void>();
  const kindOf = (type: string) => kinds.get(type);
  /** What submitted operations began with, by the object that was stored. */
  const beginnings = new WeakMap<OperationResource, Decision>();
  const bounds = deps.bounds ?? defaultBounds;
  const watches = new WatchRoom({ store, clock, log, progress, wakes }, (id, watched) => run(id, { watched }));
  const runDeps: RunDeps = {
    store,
    clock,
    random,
    log,
    progress,
    wakes,
    kindOf,
    watches,
    onChangeOf(operationId, listener) {
      attempts.set(operationId, listener);
      return () => attempts.delete(operationId);
    },
    bounds,
    abandonMs,
  };
  const stopping = new AbortController();
  const runs = new Map<string, Promise<void>>();
  let finished = 0;
  let unsubscribe = () => {};
  let untrack = () => {};

  function run(id: string, from: Parameters<typeof runOperation>[3]): void {
    const running = runOperation(runDeps, id, stopping.signal, from)
      .catch((error: unknown) => {
        if (!stopping.signal.aborted) log.error({ error, operation: id }, "an operation's runner broke");
      })
      .finally(() => {
        // It may have come to a wait, and go on already.
        if (runs.get(id) === running) runs.delete(id);
      });
    runs.set(id, running);
  }

  function launch(operation: OperationResource): void {
    const { id } = operation.metadata;
    if (runs.has(id) || watches.has(id)) return;
    const begun = beginnings.get(operation);
    beginnings.delete(operation);
    const isNewest = store.getById("Operation", id)?.metadata.revision === operation.metadata.revision;
    run(id, { begun: isNewest ? begun : undefined });
  }

  function follow(events: readonly ChangeEvent[]): void {
    for (const event of events) {
      if (event.kind !== "Operation") continue;
      attempts.get(event.id)?.();
      if (event.type === "deleted") {
        watches.forget(event.id);
        continue;
      }
      const operation = event.object as OperationResource;
      watches.changed(operation);
      if (!isOver(operation.status.state)) launch(operation);
      else if (++finished > keepFinished * 1.1 + 1) trim();
    }
  }

  /** Forgets the oldest of those that are over. */
  function trim(): void {
    const over = store.list("Operation").filter((operation) => isOver(operation.status.state));
    finished = Math.min(over.length, keepFinished);
    over.sort((one, other) => (one.metadata.id < other.metadata.id ? -1 : 1));
    const oldest = over.slice(0, Math.max(0, over.length - keepFinished));
    if (oldest.length === 0) return;
    store
      .transact((tx) => {
        for (const operation of oldest) tx.delete("Operation", operation.metadata.id);
      })
      .catch((error: unknown) => log.warn({ error }, "old operations were not forgotten"));
  }

  function replace(tx: Transaction, active: OperationResource, { type, actor }: OperationRequest): void {
    const nowMs = clock.nowMs();
    const problem = toProblem(new SkerryError("operation-cancelled", `${active.spec.type} was replaced by ${type}.`));
    const asked = { cancelRequestedAt: timestamp(nowMs), cancelRequestedBy: actor };
    const status = { ...active.status, ...asked, problem };
    tx.put({ ...active, status: ended(status, "cancelled", nowMs) });
  }

  return {
    submit(tx, request) {
      const kind = kinds.get(request.type);
      if (kind === undefined) throw new SkerryError("internal", `no operation is called ${request.type}`);
      const [subject] = request.targets;
      const active = subjects.activeOn(tx, subject);
      if (active !== undefined) {
        if (request.replaces !== true || kindOf(active.spec.type)?.replaceable !== true) throw busy(subject, active);
        replace(tx, active, request);
      }
      const nowMs = clock.nowMs();
      const id = makeId("opr", nowMs, random.bytes(10));
      const at = timestamp(nowMs);
      const draft: OperationResource = {
        kind: "Operation",
        metadata: {
          name: `${request.type.replaceAll(".", "-")}-${id.slice(-8)}`,
          id,
          revision: 0,
          generation: 1,
          labels: {},
          createdAt: at,
          updatedAt: at,
        },
        spec: {
          type: request.type,
          targets: [...request.targets],
          actor: request.actor,
          cause: request.cause,
          input: { ...request.input },
          deadlineAt: timestamp(nowMs + (request.deadlineMs ?? kind.deadlineMs)),
        },
        status: { state: "pending", steps: [], notes: {} },
      };
      const steps = kind.steps(draft);
      const recorded = steps.map(({ name }) => ({ name, state: "pending" as const, attempts: 0 }));
      const whole = { ...draft, status: { ...draft.status, steps: recorded } };
      const begun = beginWithin(tx, whole, steps, nowMs, bounds);
      const operation = begun?.operation ?? tx.put(whole);
      if (begun !== undefined) beginnings.set(operation, begun);
      return operation;
    },

    requireIdle(tx, subject, replaces = false) {
      const active = subjects.activeOn(tx, subject);
      if (active === undefined) return;
      // What is being taken back is left to its end.
      const isWatch = kindOf(active.spec.type)?.replaceable === true && active.status.cancelRequestedAt === undefined;
      if (!replaces || !isWatch) throw busy(subject, active);
    },

    cancel(tx, operation, actor) {
      const current = tx.getById("Operation", operation.metadata.id) ?? operation;
      const { status } = current;
      if (isOver(status.state))
        throw conflict(
          current,
          `has already ${status.state === "cancelled" ? "been cancelled" : status.state}`,
          "There is nothing left to cancel.",
        );
      if (status.state === "compensating") {
        throw conflict(
          current,
          "is already being taken back",
          `Wait for its end: skerry operation show ${current.metadata.name}`,
        );
      }
      if (isCommitted(status, stepsOf(kindOf(current.spec.type), current))) {
        throw conflict(
          current,
          "is past the point of no return",
          "Let it end; then undo its effect with another operation.",
        );
      }
      if (status.cancelRequestedAt !== undefined) return current;
      const asked = { cancelRequestedAt: timestamp(clock.nowMs()), cancelRequestedBy: actor };
      return tx.put({ ...current, status: { ...status, ...asked } });
    },

    start() {
      unsubscribe = store.subscribe(follow);
      const found: string[] = [];
      untrack = store.track({
        reset(newest) {
          subjects.clear();
          finished = 0;
          for (const operation of newest.scan("Operation")) {
            if (isOver(operation.status.state)) finished++;
            else {
              subjects.remember(operation);
              found.push(operation.metadata.id);
            }
          }
        },
        applied: (events) => subjects.applied(events),
      });
      for (const id of found.splice(0)) {
        const operation = store.getById("Operation", id);
        if (operation !== undefined) launch(operation);
      }
      if (finished > keepFinished) trim();
    },

    async stop() {
      unsubscribe();
      untrack();
      stopping.abort(new SkerryError("unavailable", "The server is stopping."));
      await Promise.all(runs.values());
      watches.close();
      progress.close();
      wakes.close();
    },
  };
}

function conflict(operation: OperationResource, what: string, remedy: string): SkerryError {
  return new SkerryError("conflict", `Operation ${operation.metadata.name} ${what}.`, { remedy });
}
