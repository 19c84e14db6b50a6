import { SkerryError, type OperationResource } from "@skerry/model";
import type { Transaction, View } from "@skerry/store";
import { onAbort } from "./abort-listeners.ts";
import { advance, cancelled, tooLate, type Bounds, type Next, type Outcome } from "./advance.ts";
import { pause, type Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import type { OperationKind, OperationStepKind } from "./operation-kind.ts";
import type { Random } from "./random.ts";
import { retryDelayMs } from "./retry.ts";
import { makeStepContext, type StepContextDeps } from "./step-context.ts";
import { isOver, withStep } from "./transitions.ts";
import type { WatchRoom } from "./watch-room.ts";

export interface RunDeps extends StepContextDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly kindOf: (type: string) => OperationKind | undefined;
  readonly bounds: Bounds;
  readonly watches: Pick<WatchRoom, "begin">;
  /** Calls back after each durable change of an operation; returns how to stop. */
  readonly onChangeOf: (operationId: string, listener: () => void) => () => void;
  /** How long an attempt that was told to stop is waited for; after that it is left alone, unable to write. */
  readonly abandonMs: number;
}

/**
 * Drives one operation from wherever it stands to its end, or to a step that only waits, after which `watches` has it go on; rejects
 * only when `stop` aborts.
 * @param begun what was decided and recorded with its submission, where nothing has changed since
 * @param watched what came of the wait that it goes on after
 */
export async function runOperation(
  deps: RunDeps,
  id: string,
  stop: AbortSignal,
  { begun, watched }: { readonly begun?: Decision | undefined; readonly watched?: Outcome },
): Promise<void> {
  let outcome = watched;
  let undoAttempts = 0;
  let recorded = begun;
  for (;;) {
    const decision = recorded ?? (await decide(deps, id, outcome, stop));
    recorded = undefined;
    outcome = undefined;
    if (decision === undefined) return;
    const { operation, steps, next } = decision;
    switch (next.kind) {
      case "over":
        return;
      case "run": {
        undoAttempts = 0;
        const step = steps[next.index];
        if (step?.isThere === undefined) outcome = await attempt(deps, operation, steps, next, stop);
        else outcome = deps.watches.begin(operation, step, next, aboutOf(deps, operation));
        if (outcome === undefined) return;
        break;
      }
      case "undo": {
        outcome = await attempt(deps, operation, steps, next, stop);
        undoAttempts = outcome.kind === "undone" ? 0 : undoAttempts + 1;
        break;
      }
      case "retry": {
        const attempts = operation.status.steps[next.index]?.attempts ?? 1;
        const limits = limitsOf(deps, operation, next, stop);
        // A cancel or the deadline only ends the pause; what follows from it is decided from the status.
        await pause(deps.clock, retryDelayMs(attempts, deps.random), limits.signal).catch(() => stop.throwIfAborted());
        limits.release();
        break;
      }
      case "retry-undo": {
        await pause(deps.clock, retryDelayMs(undoAttempts, deps.random), stop);
        break;
      }
    }
  }
}

/** What is done next, recorded in the operation already. */
export interface Decision {
  readonly operation: OperationResource;
  readonly steps: readonly (OperationStepKind | undefined)[];
  readonly next: Next;
}

/** Records what the last attempt came to together with what is done next, in one transaction; keeps trying while the disk refuses. */
async function decide(
  deps: RunDeps,
  id: string,
  outcome: Outcome | undefined,
  stop: AbortSignal,
): Promise<Decision | undefined> {
  for (let failures = 1; ; failures++) {
    stop.throwIfAborted();
    try {
      const { result } = await deps.store.transact((tx) => {
        stop.throwIfAborted();
        return decideWithin(tx, deps, id, outcome);
      });
      return result;
    } catch (error) {
      stop.throwIfAborted();
      deps.log.error({ error, operation: id }, "an operation's progress could not be recorded; trying again");
      await pause(deps.clock, retryDelayMs(failures, deps.random), stop);
    }
  }
}

function decideWithin(tx: Transaction, deps: RunDeps, id: string, outcome: Outcome | undefined): Decision | undefined {
  const stored = tx.getById("Operation", id);
  if (stored === undefined) return undefined;
  const operation = { ...stored, status: deps.progress.take(stored) };
  const kind = deps.kindOf(operation.spec.type);
  const steps = stepsOf(kind, operation);
  const { status, next } = withOpening(
    tx,
    operation,
    steps,
    advance(operation, steps, outcome, deps.clock.nowMs(), deps.bounds),
  );
  if (next.kind !== "over" || isOver(stored.status.state)) {
    const changed = status === stored.status ? stored : tx.put({ ...stored, status });
    return { operation: changed, steps, next };
  }
  const final = { ...stored, status };
  const result = finish(tx, deps, kind, final);
  tx.put({
    ...final,
    status: { ...status, ...(status.state === "succeeded" && result !== undefined ? { result: { ...result } } : {}) },
  });
  return { operation: final, steps, next };
}

/** Begins the first step of an operation in the transaction that submits it; undefined where there is nothing to run. */
export function beginWithin(
  tx: Transaction,
  draft: OperationResource,
  steps: readonly OperationStepKind[],
  nowMs: number,
  bounds: Bounds,
): Decision | undefined {
  const { status, next } = withOpening(tx, draft, steps, advance(draft, steps, undefined, nowMs, bounds));
  return next.kind === "run" ? { operation: tx.put({ ...draft, status }), steps, next } : undefined;
}

function withOpening(
  view: View,
  operation: OperationResource,
  steps: readonly (OperationStepKind | undefined)[],
  decided: { readonly status: OperationResource["status"]; readonly next: Next },
): { readonly status: OperationResource["status"]; readonly next: Next } {
  const { status, next } = decided;
  const message = next.kind === "run" ? steps[next.index]?.opening?.(view, operation) : undefined;
  return next.kind !== "run" || message === undefined
    ? decided
    : { status: withStep(status, next.index, { message }), next };
}

function finish(tx: Transaction, deps: RunDeps, kind: OperationKind | undefined, operation: OperationResource) {
  try {
    return kind?.finish?.(tx, operation);
  } catch (error) {
    // An operation ends whatever its last words were.
    deps.log.error({ error, operation: operation.metadata.name }, "what an operation does at its end went wrong");
    return undefined;
  }
}

/** The kind's steps in the order in which they were recorded; undefined where this version has no such step. */
export function stepsOf(
  kind: OperationKind | undefined,
  operation: OperationResource,
): readonly (OperationStepKind | undefined)[] {
  const known = kind?.steps(operation) ?? [];
  return operation.status.steps.map(({ name }) => known.find((step) => step.name === name));
}

function aboutOf(deps: RunDeps, operation: OperationResource): readonly string[] | undefined {
  return deps.kindOf(operation.spec.type)?.about?.(operation);
}

async function attempt(
  deps: RunDeps,
  operation: OperationResource,
  steps: readonly (OperationStepKind | undefined)[],
  next: Extract<Next, { kind: "run" | "undo" }>,
  stop: AbortSignal,
): Promise<Outcome> {
  const { index } = next;
  const step = steps[index];
  const limits = limitsOf(deps, operation, next, stop);
  try {
    const context = makeStepContext(deps, operation, index, limits.signal, aboutOf(deps, operation));
    const work = next.kind === "run" ? step?.run?.(context, limits.signal) : step?.compensate?.(context, limits.signal);
    await Promise.race([work, limits.abandoned]);
    return { kind: next.kind === "run" ? "done" : "undone", index };
  } catch (thrown) {
    stop.throwIfAborted();
    const error: unknown = limits.signal.aborted ? limits.signal.reason : thrown;
    if (!(error instanceof SkerryError)) {
      deps.log.error(
        { error, operation: operation.metadata.name, step: step?.name },
        "a step failed in a way that nobody foresaw",
      );
    }
    return { kind: next.kind === "run" ? "failed" : "undo-failed", index, error };
  } finally {
    limits.release();
  }
}

/** What ends an attempt from outside. */
interface Limits {
  /** Aborts at the attempt's limit, at a cancel where that is still possible, and when the engine stops. */
  readonly signal: AbortSignal;
  /** Rejects some time after that, in case the attempt does not heed it. */
  readonly abandoned: Promise<never>;
  release(): void;
}

function limitsOf(
  deps: RunDeps,
  operation: OperationResource,
  next: { readonly limitMs: number; readonly cancellable?: boolean },
  stop: AbortSignal,
): Limits {
  const { id } = operation.metadata;
  const controller = new AbortController();
  const abandoned = Promise.withResolvers<never>();
  abandoned.promise.catch(() => undefined);
  let cancelAbandon = () => {};
  const abort = (reason: unknown): void => {
    if (controller.signal.aborted) return;
    cancelAbandon = deps.clock.setTimer(deps.abandonMs, () => abandoned.reject(reason));
    controller.abort(reason);
  };
  const wait = (): (() => void) =>
    deps.clock.setTimer(next.limitMs - deps.clock.nowMs(), () => {
      if (deps.clock.nowMs() < next.limitMs) cancelTimer = wait();
      else abort(tooLate(deps.store.getById("Operation", id) ?? operation));
    });
  let cancelTimer = wait();
  const offStop = onAbort(stop, () => abort(stop.reason));
  const checkCancel = () => {
    const current = deps.store.getById("Operation", id);
    if (current?.status.cancelRequestedAt !== undefined) abort(cancelled(current));
  };
  let unsubscribe = () => {};
  if (next.cancellable === true) {
    unsubscribe = deps.onChangeOf(id, checkCancel);
    checkCancel();
  }
  return {
    signal: controller.signal,
    abandoned: abandoned.promise,
    release() {
      cancelTimer();
      cancelAbandon();
      offStop();
      unsubscribe();
    },
  };
}
