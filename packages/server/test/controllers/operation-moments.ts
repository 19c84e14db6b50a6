import type { KindName, OperationResource, ResourceOf } from "@skerry/model";
import type { OperationKind } from "../../src/operations/operation-kind.ts";
import { isBegun, isOver } from "../../src/operations/transitions.ts";

/** A step that is under way, forwards or backwards. */
export interface Place {
  readonly step: string;
  readonly way: "run" | "undo";
}

/**
 * Where a process can die: before the record that a step has begun, right after it, at anything that happens while the step
 * is under way, and after the step before its record.
 */
export type Point = "before its record" | "recorded" | "inside" | "done, not recorded" | "done";

export interface Moment extends Place {
  readonly point: Point;
}

export function nameOf({ step, way, point }: Moment): string {
  return `${way} ${step}: ${point}`;
}

/** The step that an operation is at; undefined where it has not begun or is over. */
export function placeOf(operation: OperationResource | undefined, kind: OperationKind): Place | undefined {
  if (operation === undefined || isOver(operation.status.state)) return undefined;
  const { steps, state } = operation.status;
  if (state !== "compensating") {
    const step = steps.find((candidate) => candidate.state === "running");
    return step === undefined ? undefined : { step: step.name, way: "run" };
  }
  const undoable = new Set(kind.steps(operation).flatMap((step) => (step.compensate === undefined ? [] : [step.name])));
  const step = steps.findLast((candidate) => isBegun(candidate) && undoable.has(candidate.name));
  return step === undefined ? undefined : { step: step.name, way: "undo" };
}

/** Which moments of an operation the commit of a transaction is, by what it has written. */
export function momentsOf(
  when: "before" | "after",
  durable: OperationResource | undefined,
  written: readonly ResourceOf<KindName>[],
  kind: OperationKind,
): readonly Moment[] {
  if (durable === undefined) return [];
  const next = written.findLast(
    (object): object is OperationResource => object.kind === "Operation" && object.metadata.id === durable.metadata.id,
  );
  // Once it is durable, what it was before is no longer to be seen; the caller keeps it.
  const from = placeOf(durable, kind);
  const to = next === undefined ? from : placeOf(next, kind);
  if (from?.step === to?.step && from?.way === to?.way) return from === undefined ? [] : [{ ...from, point: "inside" }];
  return [
    ...(from === undefined ? [] : [{ ...from, point: when === "before" ? "done, not recorded" : "done" } as const]),
    ...(to === undefined ? [] : [{ ...to, point: when === "before" ? "before its record" : "recorded" } as const]),
  ];
}

/** Whether there is such a moment of its own: the first step's record is the submission's, before which there is no operation. */
export function isOwnMoment(places: readonly Place[], { step, way, point }: Moment): boolean {
  return point !== "before its record" || way === "undo" || step !== places[0]?.step;
}

/** The moment that the submission of an operation is, just after it became durable. */
export function submissionOf(operation: OperationResource, kind: OperationKind): readonly Moment[] {
  const place = placeOf(operation, kind);
  return place === undefined ? [] : [{ ...place, point: "recorded" }];
}

/** Every place that an operation of a kind can be at, asked for in the way that gives it the most steps. */
export function placesOf(kind: OperationKind): readonly Place[] {
  const at = new Date(0).toISOString();
  const widest: OperationResource = {
    kind: "Operation",
    metadata: {
      name: "widest",
      id: `opr_${"0".repeat(26)}`,
      revision: 0,
      generation: 1,
      labels: {},
      createdAt: at,
      updatedAt: at,
    },
    spec: {
      type: kind.type,
      targets: [{ kind: "Instance", name: "web", project: "shop" }],
      actor: "test",
      cause: "test",
      input: { running: true, health: true },
      deadlineAt: at,
    },
    status: { state: "pending", steps: [], notes: {} },
  };
  return kind
    .steps(widest)
    .flatMap((step): Place[] => [
      { step: step.name, way: "run" },
      ...(step.compensate === undefined ? [] : [{ step: step.name, way: "undo" as const }]),
    ]);
}
