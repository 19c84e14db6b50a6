import type { InstanceResource, VolumeResource } from "@skerry/model";
import type { ObservedInstance, ObservedVolume } from "@skerry/protocol";

/** Whether a node that reports does not have it (any more). */
export function isGone(seen: ObservedInstance | ObservedVolume | undefined): boolean {
  return seen === undefined || seen.state === "absent";
}

/** Notes that the owner's node does not have it any more, once it has reported in the knowledge that it must go. */
export function withRemovalSeen<R extends InstanceResource | VolumeResource>(
  resource: R,
  nodeId: string,
  seen: ObservedInstance | ObservedVolume | undefined,
  wantedRevision: number,
): R {
  const { assignment } = resource;
  const removal = assignment?.removal;
  if (assignment?.nodeId !== nodeId || removal === undefined || removal.done) return resource;
  if (!isGone(seen) || wantedRevision <= removal.since) return resource;
  return { ...resource, assignment: { ...assignment, removal: { ...removal, done: true } } };
}
