import type { InstanceResource, Removal, VolumeAssignment, VolumeResource } from "@skerry/model";
import type { Transaction } from "@skerry/store";
import type { IntentContext, IntentOutcome } from "../../intents.ts";
import { timestamp } from "../../operations/clock.ts";
import type { OperationEngine } from "../../operations/operation-kind.ts";
import { reapInstance, rootVolumeOf } from "../reap.ts";
import { targetsOf } from "./instance-change.ts";

/** Asks the node to remove the guest, then its volume; the objects go once both were seen gone, whatever becomes of the operation. */
export function removeInstance(
  engine: Pick<OperationEngine, "submit">,
  tx: Transaction,
  instance: InstanceResource,
  context: IntentContext,
): IntentOutcome {
  const operation = engine.submit(tx, {
    type: "instance.delete",
    targets: targetsOf(instance),
    actor: context.actor,
    cause: context.cause,
    input: { instanceId: instance.metadata.id, nodeId: instance.assignment?.nodeId ?? "" },
    replaces: true,
  });
  const marked = orderRemoval(tx, instance, context.nowMs);
  return { resource: marked, operation };
}

/** Marks the instance and its volume as to be removed wherever they are. Safe to repeat. */
export function orderRemoval(tx: Transaction, instance: InstanceResource, nowMs: number): InstanceResource {
  const removal = { since: tx.revision, done: false };
  const deletedAt = timestamp(nowMs);
  const volume = rootVolumeOf(tx, instance);
  if (volume !== undefined) orderVolumeRemoval(tx, volume, nowMs);
  if (instance.metadata.deletedAt !== undefined) return instance;
  const metadata = { ...instance.metadata, deletedAt };
  const { assignment } = instance;
  if (assignment === undefined) return reaped(tx, tx.put({ ...instance, metadata }));
  const { movingTo: _abandoned, leaving: _left, heldBy: _freed, ...kept } = assignment;
  return reaped(tx, tx.put({ ...instance, metadata, assignment: { ...kept, removal } }));
}

/** Marks a volume as to be removed wherever it is. Safe to repeat. */
export function orderVolumeRemoval(tx: Transaction, volume: VolumeResource, nowMs: number): VolumeResource {
  if (volume.metadata.deletedAt !== undefined) return volume;
  const metadata = { ...volume.metadata, deletedAt: timestamp(nowMs) };
  const { assignment } = volume;
  const removal = { since: tx.revision, done: false };
  return tx.put(
    assignment === undefined
      ? { ...volume, metadata }
      : { ...volume, metadata, assignment: removedEverywhere(assignment, removal) },
  );
}

function removedEverywhere(assignment: VolumeAssignment, removal: Removal): VolumeAssignment {
  const { offeredTo: _withdrawn, ...kept } = assignment;
  const copies = (assignment.copies ?? []).map((copy) =>
    copy.purpose === "remove" ? copy : { ...copy, purpose: "remove" as const, since: removal.since },
  );
  return { ...kept, copies, removal };
}

function reaped(tx: Transaction, instance: InstanceResource): InstanceResource {
  reapInstance(tx, instance);
  return instance;
}
