import type { InstanceResource, Removal, VolumeAssignment } from "@skerry/model";
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
  if (volume !== undefined && volume.metadata.deletedAt === undefined) {
    const metadata = { ...volume.metadata, deletedAt };
    tx.put(
      volume.assignment === undefined
        ? { ...volume, metadata }
        : { ...volume, metadata, assignment: removedEverywhere(volume.assignment, removal) },
    );
  }
  if (instance.metadata.deletedAt !== undefined) return instance;
  const metadata = { ...instance.metadata, deletedAt };
  const { assignment } = instance;
  if (assignment === undefined) return reaped(tx, tx.put({ ...instance, metadata }));
  const { movingTo: _abandoned, heldBy: _freed, ...kept } = assignment;
  return reaped(tx, tx.put({ ...instance, metadata, assignment: { ...kept, removal } }));
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
