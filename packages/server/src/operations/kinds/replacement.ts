import { isDeepStrictEqual } from "node:util";
import type { InstanceResource, OperationResource, PlacementDecision, VolumeResource } from "@skerry/model";
import { SkerryError } from "@skerry/model";
import { hiding } from "@skerry/placement";
import type { Transaction, View } from "@skerry/store";
import type { Fleet } from "../../controllers/fleet.ts";
import { withCondition } from "../../controllers/condition.ts";
import { freshLease } from "../../controllers/instance-lease.ts";
import { chooseNode, type Chosen } from "../../controllers/placing.ts";
import { readyImage } from "../../controllers/references.ts";
import { rootVolumeOf } from "../../controllers/reap.ts";
import { timestamp } from "../clock.ts";
import { isOver } from "../transitions.ts";

/*
 * When an instance is given to another node without the one that has it having been asked, and the transaction that does so. Why
 * no two of it can run is argued in docs/adr/0006: the old node's lease is surely over, nothing is granted to that node until
 * this is durable, and the epoch rises, so that the old node is told to remove what it has before it is granted anything again.
 */

export interface Replacement {
  readonly operationId: string;
  readonly instanceId: string;
  readonly from: { readonly node: string; readonly nodeId: string };
  /** At which it was there: of a later one it is none of this operation's business. */
  readonly epoch: number;
}

/** What is asked about leases, and of those that grant them. */
export interface Leases {
  isOver(nodeId: string, seconds: number): boolean;
  withhold(nodeId: string, decision: string): void;
  release(nodeId: string, decision: string): void;
}

export interface ReplacementDeps {
  readonly leases: Leases;
  readonly fleet: Pick<Fleet, "in" | "requestOf">;
}

export type Outcome =
  | { readonly kind: "replaced"; readonly toNodeId: string }
  /** There is no need any more, or never was. */
  | { readonly kind: "void"; readonly why: string }
  | { readonly kind: "waiting"; readonly reason: "LeaseHeld" | "NoOtherNode"; readonly why: string };

/** Of an instance that waits to be replaced: why it is still down. */
export const replacingCondition = "Replacing";

const nameless = hiding(() => true);

export function replacementOf(operation: OperationResource): Replacement {
  const input = operation.spec.input as unknown as Omit<Replacement, "operationId">;
  return { ...input, operationId: operation.metadata.id };
}

/** Why an instance is not to be replaced, as a clause about it; undefined where it is. */
export function reasonToLeave(view: View, instance: InstanceResource): string | undefined {
  const { assignment, metadata, spec } = instance;
  if (metadata.deletedAt !== undefined || assignment === undefined) return "it is being deleted";
  const { node: name, nodeId } = assignment;
  if (assignment.lease === undefined) return "it is to be kept where it is";
  if (spec.power === "stopped") return "it is stopped";
  if (view.getById("Node", nodeId)?.status.connected === true) return `${name} is back`;
  if (!assignment.lease.confirmed) return `${name} has not confirmed that it would end it`;
  return undefined;
}

/** Whether its node has surely ended it. */
export function isLeaseOver({ assignment }: InstanceResource, leases: Pick<Leases, "isOver">): boolean {
  return assignment?.lease !== undefined && leases.isOver(assignment.nodeId, assignment.lease.seconds);
}

/** Decides, within the transaction that makes it true, and has the instance say what it waits for. Safe to repeat. */
export function decide(tx: Transaction, replacement: Replacement, deps: ReplacementDeps, nowMs: number): Outcome {
  const outcome = outcomeOf(tx, replacement, deps, nowMs);
  const instance = tx.getById("Instance", replacement.instanceId);
  if (outcome.kind === "waiting" && instance !== undefined) sayWhyDown(tx, instance, outcome, nowMs);
  return outcome;
}

function sayWhyDown(
  tx: Transaction,
  instance: InstanceResource,
  { reason, why }: Extract<Outcome, { readonly kind: "waiting" }>,
  nowMs: number,
): void {
  const { conditions } = instance.status;
  const message = `${instance.assignment?.node ?? "its node"} is away, and ${why}`.slice(0, 2048);
  const next = withCondition(conditions, replacingCondition, { state: "false", reason, message }, nowMs);
  if (!isDeepStrictEqual(conditions, next)) tx.put({ ...instance, status: { ...instance.status, conditions: next } });
}

/** Takes back what it said of being replaced, once it needs that no longer. */
export function withoutReplacing(instance: InstanceResource, nowMs: number): InstanceResource {
  const conditions = withCondition(instance.status.conditions, replacingCondition, undefined, nowMs);
  return { ...instance, status: { ...instance.status, conditions } };
}

function outcomeOf(tx: Transaction, replacement: Replacement, deps: ReplacementDeps, nowMs: number): Outcome {
  const operation = tx.getById("Operation", replacement.operationId);
  if (operation === undefined || isOver(operation.status.state)) return { kind: "void", why: "it was called off" };
  const instance = tx.getById("Instance", replacement.instanceId);
  if (instance?.assignment === undefined) return { kind: "void", why: "it is not there any more" };
  if (instance.assignment.epoch !== replacement.epoch) {
    const { nodeId: toNodeId } = instance.assignment;
    return toNodeId !== replacement.from.nodeId
      ? { kind: "replaced", toNodeId }
      : { kind: "void", why: "it was moved meanwhile" };
  }
  const why = reasonToLeave(tx, instance);
  if (why !== undefined) return { kind: "void", why };
  // A server that has just started does not know what the one before has granted.
  if (!isLeaseOver(instance, deps.leases))
    return { kind: "waiting", reason: "LeaseHeld", why: `${replacement.from.node} may still hold its lease` };
  const volume = rootVolumeOf(tx, instance);
  if (volume?.assignment === undefined) return { kind: "void", why: "it has no disk" };
  try {
    readyImage(tx, instance.metadata.project ?? "", instance.spec.image, "/spec/image");
    const away = [...(instance.assignment.former ?? []), ...(volume.assignment.copies ?? [])].map(({ node }) => node);
    const { revision } = tx;
    const request = { ...deps.fleet.requestOf(tx, instance), excludeNodes: [replacement.from.node, ...away] };
    // What it says of a refusal is read by all who may read the instance.
    const { decision, ...to } = chooseNode(deps.fleet.in(tx), request, {}, nameless);
    replace(
      tx,
      instance,
      volume,
      { ...to, decision: { ...decision, revision, generation: instance.metadata.generation } },
      nowMs,
    );
    return { kind: "replaced", toNodeId: to.nodeId };
  } catch (error) {
    if (!(error instanceof SkerryError)) throw error;
    return { kind: "waiting", reason: "NoOtherNode", why: `no other node will do: ${error.message}` };
  }
}

/** The new node makes the disk anew from the image; what the old one has must go as soon as it is back. */
function replace(
  tx: Transaction,
  instance: InstanceResource,
  volume: VolumeResource,
  { decision, devices, ...to }: Omit<Chosen, "decision"> & { readonly decision: PlacementDecision },
  nowMs: number,
): void {
  const { assignment } = instance;
  const disk = volume.assignment;
  if (assignment === undefined || disk === undefined) return;
  const { node, nodeId, devices: had } = assignment;
  const order = { node, nodeId, since: tx.revision };
  const copies = disk.copies ?? [];
  const epoch = Math.max(assignment.epoch, disk.epoch, ...copies.map((copy) => copy.epoch)) + 1;
  const since = timestamp(nowMs);
  const reason = `in place of ${node}, which is away: ${to.reason}`.slice(0, 2048);
  const place = { ...to, epoch, since, reason };
  // Until it is seen there no more: what runs there may still have them.
  const left = { ...order, epoch: assignment.epoch, ...(had === undefined ? {} : { devices: had }) };
  const former = [...(assignment.former ?? []), left];
  const { stopGraceMs } = assignment;
  tx.put({
    ...instance,
    assignment: {
      ...place,
      decision,
      ...(devices === undefined ? {} : { devices }),
      former,
      ...(stopGraceMs === undefined ? {} : { stopGraceMs }),
      ...freshLease(instance, tx.revision),
    },
    status: {
      state: "pending",
      health: "unknown",
      addresses: instance.status.addresses,
      conditions: withCondition(instance.status.conditions, replacingCondition, undefined, nowMs),
    },
  });
  tx.put({
    ...volume,
    assignment: { ...place, copies: [...copies, { ...order, epoch: disk.epoch, purpose: "remove" }] },
    status: { state: "absent", conditions: [] },
  });
}
