import { Type, type Static } from "typebox";
import { Timestamp, oneOf, optional, strict } from "../schema.ts";
import { Reference } from "../metadata.ts";
import { Problem } from "../problem.ts";
import { defineKind } from "../kind.ts";

export const operationStates = ["pending", "running", "compensating", "succeeded", "failed", "cancelled"] as const;
export type OperationState = (typeof operationStates)[number];

export const stepStates = ["pending", "running", "succeeded", "failed", "skipped", "compensated"] as const;

export const OperationStep = strict({
  name: Type.String(),
  state: oneOf(stepStates),
  attempts: Type.Integer({ minimum: 0 }),
  startedAt: optional(Timestamp),
  endedAt: optional(Timestamp),
  /** What it is doing now, for people. */
  message: optional(Type.String({ maxLength: 1024 })),
  done: optional(Type.Number({ minimum: 0 })),
  total: optional(Type.Number({ minimum: 0 })),
  unit: optional(oneOf(["bytes", "items"] as const)),
});
export type OperationStep = Static<typeof OperationStep>;

/** A durable job of named steps; it ends as succeeded, failed or cancelled, whatever is killed meanwhile. */
export const Operation = defineKind({
  kind: "Operation",
  plural: "operations",
  prefix: "opr",
  scope: "zone",
  spec: strict({
    /** The registered operation, for example `instance.migrate`. */
    type: Type.String({ pattern: "^[a-z]+(\\.[a-z-]+)+$" }),
    /** What it works on; the first is its subject. */
    targets: Type.Array(Reference, { minItems: 1 }),
    /** Who asked: a token's name, or `system`. */
    actor: Type.String(),
    /** The request or event that caused it. */
    cause: Type.String(),
    /** Made by the intent that submitted it; no client writes it. */
    input: Type.Record(Type.String(), Type.Unknown()),
    deadlineAt: Timestamp,
  }),
  status: strict({
    state: oneOf(operationStates),
    steps: Type.Array(OperationStep),
    /** What steps hand on to later ones; durable, never secret. */
    notes: Type.Record(Type.String(), Type.Unknown()),
    cancelRequestedAt: optional(Timestamp),
    /** Who asked for that: a token's name, or `system`. */
    cancelRequestedBy: optional(Type.String()),
    startedAt: optional(Timestamp),
    /** When it began to take back what it did; from then on only that. */
    undoStartedAt: optional(Timestamp),
    endedAt: optional(Timestamp),
    problem: optional(Problem),
    /** What it achieved, for example a migration's bytes and downtime. */
    result: optional(Type.Record(Type.String(), Type.Unknown())),
  }),
});
