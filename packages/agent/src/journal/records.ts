import { Type, type Static } from "typebox";
import { oneOf, optional, parserOf, strict } from "@skerry/model";

/** What the node must not forget of a volume. */
export const VolumeRecord = strict({
  /** Highest epoch that was ever ordered; orders with a lower one are refused. */
  epoch: Type.Integer({ minimum: 0 }),
  /** Set once the file was whole: from then on a missing file is a loss to report, never a reason to make a new one. */
  made: Type.Boolean(),
  /** Whether a guest ever opened this copy for writing. */
  opened: optional(Type.Boolean()),
  /** Of the import that the file is made from: it names the copy, so that an older copy isn't taken for a newer one. */
  ticket: optional(Type.String()),
  /** What the source said its file's digest was, when this import began. */
  sourceDigest: optional(Type.String()),
  /** How often this import ended with another digest. */
  mismatches: Type.Integer({ minimum: 0 }),
  /** Of the file as it is; dropped before anything may write to it. */
  digest: optional(Type.String()),
  /** The size that it was last made or grown to; 0 where only its maker knows. */
  sizeMiB: Type.Integer({ minimum: 0 }),
});
export type VolumeRecord = Static<typeof VolumeRecord>;

/** A graceful stop under way: it outlives the agent, so that the grace isn't granted anew. Milliseconds since 1970. */
const StopRecord = strict({
  purpose: oneOf(["stop", "reboot"] as const),
  sinceMs: Type.Number(),
  askedAtMs: Type.Number(),
  /** Of the run that is to end. */
  startedAtMs: Type.Number(),
});
export type StopRecord = Static<typeof StopRecord>;

/** What the node must not forget of an instance. */
export const InstanceRecord = strict({
  /** Highest epoch that was ever ordered; orders with a lower one are refused. */
  epoch: Type.Integer({ minimum: 0 }),
  /** Of the disk that its guest has open while it runs. */
  rootVolume: optional(Type.String()),
  /** Networks that its guest is plugged into. */
  networks: Type.Array(Type.String()),
  /** The last reboot that was done. */
  rebootGeneration: Type.Integer({ minimum: 0 }),
  /** What its guest was last defined with: a hash, the epoch and the spec's generation that it stands for. */
  definition: optional(Type.String()),
  appliedEpoch: Type.Integer({ minimum: 0 }),
  appliedGeneration: Type.Integer({ minimum: 0 }),
  stop: optional(StopRecord),
  /** How long the run that began at `startedAtMs` took until it first served. */
  boot: optional(strict({ startedAtMs: Type.Number(), bootMs: Type.Integer({ minimum: 0 }) })),
});
export type InstanceRecord = Static<typeof InstanceRecord>;

export const parseVolumeRecord = parserOf(VolumeRecord, "volume's record in the journal", "internal");
export const parseInstanceRecord = parserOf(InstanceRecord, "instance's record in the journal", "internal");

export const emptyVolumeRecord: VolumeRecord = { epoch: 0, made: false, mismatches: 0, sizeMiB: 0 };
export const emptyInstanceRecord: InstanceRecord = {
  epoch: 0,
  networks: [],
  rebootGeneration: 0,
  appliedEpoch: 0,
  appliedGeneration: 0,
};
