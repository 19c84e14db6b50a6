import type { OperationResource, OperationState, Problem } from "@skerry/model";
import type { OperationStep } from "@skerry/model";
import { timestamp } from "./clock.ts";

type Status = OperationResource["status"];

/* An operation's life, as pure functions of its status. `running -> compensating -> failed | cancelled`, or straight to an end. */

export function isOver(state: OperationState): boolean {
  switch (state) {
    case "pending":
    case "running":
    case "compensating":
      return false;
    case "succeeded":
    case "failed":
    case "cancelled":
      return true;
  }
}

/** Whether the step has been begun, and so may have done something. */
export function isBegun(step: OperationStep): boolean {
  switch (step.state) {
    case "pending":
    case "skipped":
    case "compensated":
      return false;
    case "running":
    case "succeeded":
    case "failed":
      return true;
  }
}

export function withStep(status: Status, index: number, change: Partial<OperationStep>): Status {
  return { ...status, steps: status.steps.map((step, at) => (at === index ? { ...step, ...change } : step)) };
}

/** Step `index` is about to run, for the first time or again; earlier ones have succeeded. */
export function stepBegun(status: Status, index: number, nowMs: number): Status {
  const step = status.steps[index];
  const started = { ...status, state: "running" as const, startedAt: status.startedAt ?? timestamp(nowMs) };
  return withStep(started, index, {
    state: "running",
    attempts: (step?.attempts ?? 0) + 1,
    startedAt: step?.startedAt ?? timestamp(nowMs),
  });
}

export function stepSucceeded(status: Status, index: number, nowMs: number): Status {
  return withStep(status, index, { state: "succeeded", endedAt: timestamp(nowMs) });
}

/** From here on only backwards. The begun step that failed is marked, if one was running. */
export function undoBegun(status: Status, problem: Problem, nowMs: number): Status {
  const steps = status.steps.map((step) =>
    step.state === "running"
      ? { ...step, state: "failed" as const, endedAt: timestamp(nowMs), message: problem.detail.slice(0, 1024) }
      : step,
  );
  return { ...status, state: "compensating", steps, problem, undoStartedAt: timestamp(nowMs) };
}

export function ended(status: Status, state: "succeeded" | "failed" | "cancelled", nowMs: number): Status {
  const steps = status.steps.map((step) => {
    if (step.state === "pending") return { ...step, state: "skipped" as const };
    if (step.state === "running") return { ...step, state: "failed" as const, endedAt: timestamp(nowMs) };
    return step;
  });
  return { ...status, state, steps, endedAt: timestamp(nowMs) };
}

/** How an operation that was taken back ends: as its problem says. */
export function stateAfterUndo(status: Status): "failed" | "cancelled" {
  return status.problem?.code === "operation-cancelled" ? "cancelled" : "failed";
}
