import { Type } from "typebox";
import { Digest, Name, oneOf, optional, strict, Timestamp } from "../schema.ts";
import { Assignment, Condition } from "../metadata.ts";
import { defineKind } from "../kind.ts";

export const volumeStates = ["absent", "creating", "importing", "ready", "failed"] as const;

export const Volume = defineKind({
  kind: "Volume",
  plural: "volumes",
  prefix: "vol",
  scope: "project",
  spec: strict({
    sizeMiB: Type.Integer({ minimum: 1 }),
    /** Filled from this image when made; blank where absent. `name` or `project/name`. */
    image: optional(Type.String()),
    /** The instance it belongs to and goes with. */
    instance: optional(Name),
  }),
  assignment: Assignment,
  status: strict({
    state: oneOf(volumeStates),
    usedBytes: optional(Type.Integer({ minimum: 0 })),
    digest: optional(Digest),
    error: optional(Type.String()),
    seenAt: optional(Timestamp),
    conditions: Type.Array(Condition),
  }),
});
