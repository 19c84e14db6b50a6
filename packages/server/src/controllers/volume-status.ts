import { isDeepStrictEqual } from "node:util";
import type { InstanceResource, VolumeResource } from "@skerry/model";
import type { ObservedState, ObservedVolume } from "@skerry/protocol";
import type { Transaction, View } from "@skerry/store";
import { timestamp } from "../operations/clock.ts";
import { withFailure } from "./condition.ts";
import { reapInstance, reapVolume } from "./reap.ts";
import { isGone, withRemovalSeen } from "./removal.ts";

/**
 * Takes what a node reports of volumes into the status of those that it owns, and forgets copies that it no longer has. Must run
 * before the instances of the same report, whose removal ends with their volume's.
 */
export function applyObservedVolumes(
  tx: Transaction,
  nodeId: string,
  observed: ObservedState,
  ids: readonly string[],
  nowMs: number,
): void {
  for (const id of ids) {
    const stored = tx.getById("Volume", id);
    if (stored === undefined) continue;
    const seen = observed.volumes.find((candidate) => candidate.id === id);
    let next = withStatus(stored, nodeId, seen, nowMs);
    next = withoutCopy(next, nodeId, seen, observed.wantedRevision);
    next = withRemovalSeen(next, nodeId, seen, observed.wantedRevision);
    next = settled(tx, next, nodeId, observed);
    if (next === stored) continue;
    const volume = tx.put(next);
    if (volume.metadata.deletedAt === undefined) continue;
    const instance = instanceOf(tx, volume);
    if (instance === undefined) reapVolume(tx, volume);
    else reapInstance(tx, instance);
  }
}

function withStatus(
  volume: VolumeResource,
  nodeId: string,
  seen: ObservedVolume | undefined,
  nowMs: number,
): VolumeResource {
  const { assignment, status } = volume;
  if (assignment?.nodeId !== nodeId) return volume;
  const { conditions } = status;
  const seenAt = timestamp(nowMs);
  if (seen === undefined || seen.state === "absent") {
    if (status.state === "absent") return volume;
    return { ...volume, status: { state: "absent", conditions, seenAt } };
  }
  if (seen.epoch !== assignment.epoch) return volume;
  const next: VolumeResource["status"] = {
    state: seen.state,
    ...(seen.usedBytes === undefined ? {} : { usedBytes: seen.usedBytes }),
    ...(seen.digest === undefined ? {} : { digest: seen.digest }),
    ...(seen.error === undefined ? {} : { error: seen.error }),
    seenAt,
    conditions: withFailure(conditions, seen, nowMs),
  };
  const filled = seen.state === "ready" && assignment.filled !== true;
  if (!filled && isDeepStrictEqual(gist(status), gist(next))) return volume;
  return { ...volume, status: next, assignment: filled ? { ...assignment, filled } : assignment };
}

/** A disk's growth alone is no reason to write. */
function gist({ seenAt: _when, usedBytes: _grows, ...rest }: VolumeResource["status"]): object {
  return rest;
}

function withoutCopy(
  volume: VolumeResource,
  nodeId: string,
  seen: ObservedVolume | undefined,
  wantedRevision: number,
): VolumeResource {
  const { assignment } = volume;
  if (assignment?.copies === undefined || !isGone(seen)) return volume;
  const copies = assignment.copies.filter(
    (copy) => copy.nodeId !== nodeId || copy.purpose !== "remove" || wantedRevision <= copy.since,
  );
  return copies.length === assignment.copies.length ? volume : { ...volume, assignment: { ...assignment, copies } };
}

/**
 * A copy that a move has left behind on `hold` may go once its owner is certain and well: no operation works with it, and the
 * owner's node itself reports, at the owner's epoch, the disk ready and the instance as it is wanted.
 */
function settled(tx: Transaction, volume: VolumeResource, nodeId: string, observed: ObservedState): VolumeResource {
  const { assignment } = volume;
  if (assignment?.nodeId !== nodeId || assignment.copies?.some((copy) => copy.purpose === "hold") !== true)
    return volume;
  const instance = instanceOf(tx, volume);
  if (instance === undefined || !isWell(instance, volume, observed)) return volume;
  const since = tx.revision;
  const copies = assignment.copies.map((copy) =>
    copy.purpose === "hold" ? { ...copy, purpose: "remove" as const, since } : copy,
  );
  return { ...volume, assignment: { ...assignment, copies } };
}

function isWell(instance: InstanceResource, volume: VolumeResource, observed: ObservedState): boolean {
  const { assignment, spec, metadata } = instance;
  if (assignment === undefined || assignment.heldBy !== undefined || assignment.movingTo !== undefined) return false;
  const disk = observed.volumes.find((candidate) => candidate.id === volume.metadata.id);
  const guest = observed.instances.find((candidate) => candidate.id === metadata.id);
  if (disk?.state !== "ready" || disk.epoch !== volume.assignment?.epoch || guest?.epoch !== assignment.epoch)
    return false;
  if (spec.power === "stopped") return guest.state === "stopped";
  return guest.state === "running" && (spec.healthCheck === undefined || guest.health === "healthy");
}

function instanceOf(view: View, volume: VolumeResource): InstanceResource | undefined {
  const { instance } = volume.spec;
  return instance === undefined
    ? undefined
    : view.get("Instance", { project: volume.metadata.project, name: instance });
}
