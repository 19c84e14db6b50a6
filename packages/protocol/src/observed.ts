import { Type, type Static } from "typebox";
import { Digest, Id, NodeFacts, Timestamp, instanceStates, oneOf, optional, strict, volumeStates } from "@skerry/model";

/* What a node sees, whole, in each report. The server stores it as status and never argues with it. */

/** Characters of an error, and of the remedy beside it, that a report may hold. */
export const mostOfError = 2000;
export const mostOfRemedy = 1000;

/** Beside an error: its code in the catalogue of whoever reports, and what to do about it. */
const explanation = {
  errorCode: optional(Type.String({ maxLength: 64 })),
  remedy: optional(Type.String({ maxLength: mostOfRemedy })),
};

export const ObservedVolume = strict({
  id: Id,
  epoch: Type.Integer({ minimum: 0 }),
  state: oneOf(volumeStates),
  /** Bytes of an import or creation so far, and in all. */
  doneBytes: optional(Type.Integer({ minimum: 0 })),
  totalBytes: optional(Type.Integer({ minimum: 0 })),
  /** Size of the file on the node. */
  usedBytes: optional(Type.Integer({ minimum: 0 })),
  /** Of the whole file, once offered (at the source) or imported (at the target, recomputed from what was written). */
  digest: optional(Digest),
  /** True while the node serves it to the node it was offered to. */
  offered: optional(Type.Boolean()),
  error: optional(Type.String({ maxLength: mostOfError })),
  ...explanation,
});
export type ObservedVolume = Static<typeof ObservedVolume>;

export const ObservedInstance = strict({
  id: Id,
  epoch: Type.Integer({ minimum: 0 }),
  generation: Type.Integer({ minimum: 0 }),
  /** Only `starting`, `running` and `stopping` may have a process; `failed` has none, and says why in `error`. */
  state: oneOf(instanceStates),
  health: oneOf(["unknown", "healthy", "unhealthy"] as const),
  startedAt: optional(Timestamp),
  bootMs: optional(Type.Integer({ minimum: 0 })),
  rebootGeneration: Type.Integer({ minimum: 0 }),
  /** Of the lease without which the node does not let it run, as it is in force there. */
  leaseSeconds: optional(Type.Integer({ minimum: 1 })),
  error: optional(Type.String({ maxLength: mostOfError })),
  ...explanation,
});
export type ObservedInstance = Static<typeof ObservedInstance>;

export const ObservedNetwork = strict({
  id: Id,
  state: oneOf(["absent", "ready", "failed"] as const),
  mtu: optional(Type.Integer()),
  error: optional(Type.String({ maxLength: mostOfError })),
});
export type ObservedNetwork = Static<typeof ObservedNetwork>;

export const ObservedState = strict({
  /**
   * The wanted revision that this answers to; 0 before the first. It promises that this wish is in the journal, that the
   * report was made after that, and that no action of an older wish is under way or will follow: the server moves
   * instances on the strength of it.
   */
  wantedRevision: Type.Integer({ minimum: 0 }),
  facts: NodeFacts,
  networks: Type.Array(ObservedNetwork),
  volumes: Type.Array(ObservedVolume),
  instances: Type.Array(ObservedInstance),
});
export type ObservedState = Static<typeof ObservedState>;
