import type { InstanceLease, InstanceResource } from "@skerry/model";
import type { ObservedInstance } from "@skerry/protocol";

/** How long its node may run it unheard; undefined for an instance that is kept. */
export function replaceAfterOf({ spec }: InstanceResource): number | undefined {
  const { onDisconnect = "keep" } = spec;
  return onDisconnect === "keep" ? undefined : onDisconnect.replaceAfterSeconds;
}

/** On a node that never knew it otherwise. */
export function freshLease(instance: InstanceResource, since: number): { readonly lease?: InstanceLease } {
  const seconds = replaceAfterOf(instance);
  return seconds === undefined ? {} : { lease: { seconds, confirmed: true, since } };
}

/** The assignment after a change of the spec at `since`: until its node has said otherwise, whatever it may know holds. */
export function withChangedLease(after: InstanceResource, since: number): InstanceResource {
  if (after.assignment === undefined) return after;
  const { lease: before, ...assignment } = after.assignment;
  const seconds = replaceAfterOf(after);
  if (seconds === undefined) return before === undefined ? after : { ...after, assignment };
  if (before?.seconds === seconds) return after;
  const lease =
    before === undefined
      ? { seconds, confirmed: false, since }
      : { seconds: Math.max(seconds, before.seconds), confirmed: before.confirmed, since };
  return { ...after, assignment: { ...assignment, lease } };
}

/** Takes it from its node which lease is in force there. */
export function withConfirmedLease(
  instance: InstanceResource,
  nodeId: string,
  seen: ObservedInstance | undefined,
  wantedRevision: number,
): InstanceResource {
  const { assignment } = instance;
  const seconds = replaceAfterOf(instance);
  if (assignment?.lease === undefined || assignment.nodeId !== nodeId || seconds === undefined) return instance;
  const { lease } = assignment;
  if (lease.confirmed && lease.seconds === seconds) return instance;
  if (wantedRevision <= lease.since || seen?.leaseSeconds !== seconds) return instance;
  return { ...instance, assignment: { ...assignment, lease: { ...lease, seconds, confirmed: true } } };
}
