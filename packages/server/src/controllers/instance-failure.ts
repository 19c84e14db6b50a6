import type { Condition, InstanceResource } from "@skerry/model";
import type { ObservedInstance, ObservedState } from "@skerry/protocol";
import type { View } from "@skerry/store";
import { withFailure } from "./condition.ts";
import { rootVolumeOf } from "./reap.ts";

/** An instance's conditions with what its node fails at: of the guest, or of the disk without which there is none. */
export function withInstanceFailure(
  view: View,
  instance: InstanceResource,
  seen: ObservedInstance,
  observed: ObservedState,
  nowMs: number,
): Condition[] {
  const { conditions } = instance.status;
  if (seen.errorCode !== undefined) return withFailure(conditions, told(view, instance, seen), nowMs);
  // A guest that runs has its disk, and a failure to grow that one waits for its next stop.
  const disk = seen.state === "running" ? undefined : failedDisk(view, instance, observed);
  return withFailure(conditions, disk === undefined ? seen : told(view, instance, disk), nowMs);
}

interface Failure {
  readonly error?: string;
  readonly errorCode?: string;
  readonly remedy?: string;
}

function failedDisk(view: View, instance: InstanceResource, observed: ObservedState): Failure | undefined {
  const volume = rootVolumeOf(view, instance);
  if (volume === undefined) return undefined;
  const { assignment, metadata } = volume;
  return observed.volumes.find(
    ({ id, epoch, errorCode }) => id === metadata.id && epoch === assignment?.epoch && errorCode !== undefined,
  );
}

/** In the words of whoever owns the instance: a node knows its own folders, and neither names nor other nodes. */
function told(view: View, instance: InstanceResource, failure: Failure): Failure {
  if (failure.errorCode !== "storage-full") return failure;
  const { name, project = "" } = instance.metadata;
  const node = instance.assignment?.node ?? "";
  const filled = rootVolumeOf(view, instance)?.assignment?.filled === true;
  const elsewhere = filled
    ? `Or move it: skerry instance migrate ${name} --project ${project} --to-provider PROVIDER`
    : `Or give it up and create it elsewhere: skerry instance delete ${name} --project ${project}`;
  return {
    error: `The disk of node ${node} is full.`,
    errorCode: failure.errorCode,
    remedy: `Free space on node ${node}, and it goes on by itself within a minute. ${elsewhere}`,
  };
}
