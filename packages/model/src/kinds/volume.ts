import { Type, type Static } from "typebox";
import { Digest, Id, Name, oneOf, optional, strict, Timestamp } from "../schema.ts";
import { Assignment, Condition, OrderRevision, Removal } from "../metadata.ts";
import { defineKind } from "../kind.ts";

export const volumeStates = ["absent", "creating", "importing", "ready", "failed"] as const;

export const copyPurposes = ["import", "hold", "remove"] as const;

/**
 * A second copy of a volume, on a node that does not own it. `import`: being filled from the owner's; `hold`: the former
 * owner's, kept untouched until the new one is proven; `remove`: must go, and is forgotten once the node was seen without it.
 */
export const VolumeCopy = strict({
  node: Name,
  nodeId: Id,
  epoch: Type.Integer({ minimum: 1 }),
  purpose: oneOf(copyPurposes),
  since: OrderRevision,
});
export type VolumeCopy = Static<typeof VolumeCopy>;

/** Which node owns a volume, and what a move has asked of it besides its spec. */
export const VolumeAssignment = strict({
  ...Assignment.properties,
  /** It was seen ready on its node: from now on a missing file is an error, never a reason to make it anew. */
  filled: optional(Type.Boolean()),
  /** The node that may pull it. The ticket names the attempt; what authenticates is the node's key. */
  offeredTo: optional(strict({ nodeId: Id, ticket: Type.String() })),
  copies: optional(Type.Array(VolumeCopy)),
  removal: optional(Removal),
});
export type VolumeAssignment = Static<typeof VolumeAssignment>;

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
  assignment: VolumeAssignment,
  status: strict({
    state: oneOf(volumeStates),
    usedBytes: optional(Type.Integer({ minimum: 0 })),
    digest: optional(Digest),
    error: optional(Type.String()),
    seenAt: optional(Timestamp),
    conditions: Type.Array(Condition, {
      description:
        "Failing: what its node fails at, and the remedy. Reachable: only where its node is not heard; all the rest is as old.",
    }),
  }),
});
