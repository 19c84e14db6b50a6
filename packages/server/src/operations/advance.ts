import { SkerryError, toProblem, type OperationResource, type Problem } from "@skerry/model";
import type { OperationStepKind } from "./operation-kind.ts";
import { mayRetry } from "./retry.ts";
import {
  ended,
  isBegun,
  isOver,
  stateAfterUndo,
  stepBegun,
  stepSucceeded,
  undoBegun,
  withStep,
} from "./transitions.ts";

type Status = OperationResource["status"];

/** How an attempt at a step, forwards or backwards, went. */
export type Outcome =
  | { readonly kind: "done"; readonly index: number }
  | { readonly kind: "undone"; readonly index: number }
  | { readonly kind: "failed"; readonly index: number; readonly error: unknown }
  | { readonly kind: "undo-failed"; readonly index: number; readonly error: unknown };

/** What an operation's runner does next. `limitMs` is when the attempt has to end, milliseconds since 1970. */
export type Next =
  | { readonly kind: "run"; readonly index: number; readonly limitMs: number; readonly cancellable: boolean }
  | { readonly kind: "undo"; readonly index: number; readonly limitMs: number }
  | { readonly kind: "retry"; readonly index: number; readonly limitMs: number; readonly cancellable: boolean }
  | { readonly kind: "retry-undo"; readonly index: number; readonly limitMs: number }
  | { readonly kind: "over" };

export interface Bounds {
  /** How long taking back may last in all. */
  readonly undoMs: number;
  /** What each step gets to be taken back even after that. */
  readonly undoFloorMs: number;
  /** How long after the deadline an operation past its point of no return goes on trying. */
  readonly forwardMs: number;
}

/**
 * Decides from an operation's durable status, its steps and the last attempt's outcome what its status becomes and what is
 * done next. Pure, so that a runner made after a kill decides as the killed one would have.
 */
export function advance(
  operation: OperationResource,
  steps: readonly (OperationStepKind | undefined)[],
  outcome: Outcome | undefined,
  nowMs: number,
  bounds: Bounds,
): { readonly status: Status; readonly next: Next } {
  if (isOver(operation.status.state)) return { status: operation.status, next: { kind: "over" } };
  if (operation.status.state === "compensating") return backwards(operation.status, steps, outcome, nowMs, bounds);
  return forwards(operation, steps, outcome, nowMs, bounds);
}

function forwards(
  operation: OperationResource,
  steps: readonly (OperationStepKind | undefined)[],
  outcome: Outcome | undefined,
  nowMs: number,
  bounds: Bounds,
): { status: Status; next: Next } {
  let { status } = operation;
  const deadlineMs = Date.parse(operation.spec.deadlineAt);
  if (outcome?.kind === "done") status = stepSucceeded(status, outcome.index, nowMs);

  const index = status.steps.findIndex((step) => step.state !== "succeeded");
  if (index === -1) return { status: ended(status, "succeeded", nowMs), next: { kind: "over" } };

  const committed = isCommitted(status, steps);
  const turnBack = (problem: Problem) => backwards(undoBegun(status, problem, nowMs), steps, undefined, nowMs, bounds);
  if (outcome?.kind === "failed") {
    const attempts = status.steps[index]?.attempts ?? 1;
    if (
      committed
        ? nowMs < deadlineMs + bounds.forwardMs
        : attempts < (steps[index]?.maxAttempts ?? Number.POSITIVE_INFINITY) && mayRetry(outcome.error, attempts)
    ) {
      const { detail } = toProblem(outcome.error);
      const waiting = withStep(status, index, { message: `tries again: ${detail}`.slice(0, 1024) });
      const limitMs = committed ? deadlineMs + bounds.forwardMs : deadlineMs;
      return { status: waiting, next: { kind: "retry", index, limitMs, cancellable: !committed } };
    }
    if (!committed) return turnBack(toProblem(outcome.error));
    const problem = withLeft(
      toProblem(outcome.error),
      status.steps.slice(index).map((step) => step.name),
    );
    return { status: { ...ended(status, "failed", nowMs), problem }, next: { kind: "over" } };
  }
  if (!committed && status.cancelRequestedAt !== undefined) return turnBack(toProblem(cancelled(operation)));
  if (!committed && nowMs >= deadlineMs) return turnBack(toProblem(tooLate(operation)));
  const step = steps[index];
  if (step === undefined) return turnBack(toProblem(unknownStep(operation, index)));

  const cancellable = !committed && step.pointOfNoReturn !== true;
  // Beginning the step of no return before the deadline buys it the time to end.
  const boundMs = cancellable ? deadlineMs : Math.max(deadlineMs, nowMs) + bounds.forwardMs;
  const limitMs = Math.min(boundMs, nowMs + (step.limitMs ?? Number.POSITIVE_INFINITY));
  return { status: stepBegun(status, index, nowMs), next: { kind: "run", index, limitMs, cancellable } };
}

function backwards(
  before: Status,
  steps: readonly (OperationStepKind | undefined)[],
  outcome: Outcome | undefined,
  nowMs: number,
  bounds: Bounds,
): { status: Status; next: Next } {
  let status = before;
  const startedMs = status.undoStartedAt === undefined ? nowMs : Date.parse(status.undoStartedAt);
  const limitMs = Math.max(startedMs + bounds.undoMs, nowMs + bounds.undoFloorMs);
  if (outcome?.kind === "undone") status = withStep(status, outcome.index, { state: "compensated" });
  if (outcome?.kind === "undo-failed") {
    const { detail } = toProblem(outcome.error);
    if (nowMs < startedMs + bounds.undoMs) {
      const waiting = withStep(status, outcome.index, {
        message: `being taken back, tries again: ${detail}`.slice(0, 1024),
      });
      return { status: waiting, next: { kind: "retry-undo", index: outcome.index, limitMs } };
    }
    const name = status.steps[outcome.index]?.name ?? "?";
    status = withStep(status, outcome.index, { state: "skipped", message: `not taken back: ${detail}`.slice(0, 1024) });
    if (status.problem !== undefined) status = { ...status, problem: withLeft(status.problem, [name], detail) };
  }
  const index = status.steps.findLastIndex((step, at) => isBegun(step) && steps[at]?.compensate !== undefined);
  if (index === -1) return { status: ended(status, stateAfterUndo(status), nowMs), next: { kind: "over" } };
  return { status, next: { kind: "undo", index, limitMs } };
}

/** Whether a step of no return has been begun: from then on there is only forwards. */
export function isCommitted(status: Status, steps: readonly (OperationStepKind | undefined)[]): boolean {
  return status.steps.some((step, at) => isBegun(step) && steps[at]?.pointOfNoReturn === true);
}

export function cancelled(operation: OperationResource): SkerryError {
  const { cancelRequestedBy } = operation.status;
  const by = cancelRequestedBy === undefined ? "" : ` by ${cancelRequestedBy}`;
  return new SkerryError("operation-cancelled", `${operation.spec.type} was cancelled${by}.`);
}

export function tooLate(operation: OperationResource): SkerryError {
  const running = operation.status.steps.find((step) => step.state === "running");
  const where =
    running === undefined
      ? ""
      : ` in its step ${running.name}${running.message === undefined ? "" : ` (${running.message})`}`;
  return new SkerryError(
    "deadline-exceeded",
    `${operation.spec.type} was not done by ${operation.spec.deadlineAt}${where}.`,
    {
      remedy: "See why it took so long (is the node connected?), then ask again.",
    },
  );
}

function unknownStep(operation: OperationResource, index: number): SkerryError {
  const name = operation.status.steps[index]?.name ?? "?";
  return new SkerryError("unavailable", `This server does not know the step ${name} of ${operation.spec.type}.`, {
    remedy: "Another version of the server began it; ask for it again.",
  });
}

function withLeft(problem: Problem, names: readonly string[], why?: string): Problem {
  const before = Array.isArray(problem.facts?.["left"]) ? (problem.facts["left"] as unknown[]) : [];
  const left = [...before, ...names.map((step) => (why === undefined ? step : `${step}: ${why}`))];
  return { ...problem, facts: { ...problem.facts, left } };
}
