import { isDeepStrictEqual } from "node:util";
import type { InstanceResource } from "@skerry/model";
import type { ObservedInstance, ObservedState } from "@skerry/protocol";
import type { Transaction, View } from "@skerry/store";
import { timestamp } from "../operations/clock.ts";
import { withInstanceFailure } from "./instance-failure.ts";
import { withConfirmedLease } from "./instance-lease.ts";
import { reapInstance } from "./reap.ts";
import { isGone, withRemovalSeen } from "./removal.ts";

/** Takes what a node reports of instances into the status of those that it owns, and forgets former places that it has left. */
export function applyObservedInstances(
  tx: Transaction,
  nodeId: string,
  observed: ObservedState,
  ids: readonly string[],
  nowMs: number,
): void {
  let place: Place | undefined;
  for (const id of ids) {
    const stored = tx.getById("Instance", id);
    if (stored === undefined) continue;
    place ??= placeOf(tx, nodeId);
    const seen = observed.instances.find((candidate) => candidate.id === id);
    let next = withStatus(tx, stored, { nodeId, ...place }, seen, observed, nowMs);
    next = withoutFormer(next, nodeId, seen, observed.wantedRevision);
    next = withConfirmedLease(next, nodeId, seen, observed.wantedRevision);
    next = withRemovalSeen(next, nodeId, seen, observed.wantedRevision);
    const instance = next === stored ? stored : tx.put(next);
    if (instance.metadata.deletedAt !== undefined) reapInstance(tx, instance);
  }
}

interface Place {
  readonly site?: string;
  readonly provider?: string;
}

/** Where a node is now, as people name it. */
function placeOf(view: View, nodeId: string): Place {
  const site = view.getById("Node", nodeId)?.spec.site;
  const provider = site === undefined ? undefined : view.get("Site", { name: site })?.spec.provider;
  return { ...(site === undefined ? {} : { site }), ...(provider === undefined ? {} : { provider }) };
}

function withStatus(
  view: View,
  instance: InstanceResource,
  { nodeId, ...place }: Place & { readonly nodeId: string },
  seen: ObservedInstance | undefined,
  observed: ObservedState,
  nowMs: number,
): InstanceResource {
  const { assignment, status } = instance;
  const { facts } = observed;
  if (assignment?.nodeId !== nodeId) return instance;
  const { addresses, conditions } = status;
  const seenAt = timestamp(nowMs);
  let next: InstanceResource["status"];
  if (seen === undefined || seen.state === "absent") {
    if (status.state === "pending" || status.state === "absent") return instance;
    next = { state: "absent", health: "unknown", addresses, conditions, ...place, seenAt };
  } else {
    if (seen.epoch !== assignment.epoch) return instance;
    next = {
      state: seen.state,
      health: seen.health,
      addresses,
      ...(seen.startedAt === undefined ? {} : { startedAt: seen.startedAt }),
      ...(seen.bootMs === undefined ? {} : { bootMs: seen.bootMs }),
      driver: facts.driver,
      accelerator: facts.accelerator,
      ...place,
      ...(seen.error === undefined ? {} : { error: seen.error }),
      seenAt,
      observedGeneration: seen.generation,
      conditions: withInstanceFailure(view, instance, seen, observed, nowMs),
    };
  }
  return isDeepStrictEqual(gist(status), gist(next)) ? instance : { ...instance, status: next };
}

function gist({ seenAt: _when, ...rest }: InstanceResource["status"]): object {
  return rest;
}

function withoutFormer(
  instance: InstanceResource,
  nodeId: string,
  seen: ObservedInstance | undefined,
  wantedRevision: number,
): InstanceResource {
  const { assignment } = instance;
  if (assignment?.former === undefined || !isGone(seen)) return instance;
  const former = assignment.former.filter((place) => place.nodeId !== nodeId || wantedRevision <= place.since);
  return former.length === assignment.former.length ? instance : { ...instance, assignment: { ...assignment, former } };
}
