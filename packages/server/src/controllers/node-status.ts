import { isDeepStrictEqual } from "node:util";
import type { NodeResource } from "@skerry/model";
import type { ObservedState } from "@skerry/protocol";
import type { Transaction } from "@skerry/store";
import { timestamp } from "../operations/clock.ts";
import { withCondition } from "./condition.ts";
import { applyObservedInstances } from "./instance-status.ts";
import { reapNetwork } from "./reap.ts";
import { applyObservedVolumes } from "./volume-status.ts";

/** What changes all the time (times, the agent's memory, a disk's growth) is written at most this often, milliseconds. */
const coarseWriteMs = 30_000;

/** Objects that concern a node, from the index; the transaction's own versions are read by id. */
export interface Concerned {
  readonly instances: readonly string[];
  readonly volumes: readonly string[];
}

/**
 * Takes a node's report into the status of the node and of what is assigned to it, and draws the consequences of what is gone.
 * A report never changes the status of an object whose owner is another node. Writes only what changed.
 */
export function applyObserved(
  tx: Transaction,
  nodeId: string,
  observed: ObservedState,
  concerned: Concerned,
  nowMs: number,
): void {
  const node = tx.getById("Node", nodeId);
  if (node === undefined) return;
  applyObservedNode(tx, node, observed, concerned, nowMs);
  // An agent that has not looked yet, or knows of no wish, says nothing about what is there.
  if (observed.wantedRevision === 0) return;
  applyObservedVolumes(tx, nodeId, observed, concerned.volumes, nowMs);
  applyObservedInstances(tx, nodeId, observed, concerned.instances, nowMs);
}

function applyObservedNode(
  tx: Transaction,
  node: NodeResource,
  observed: ObservedState,
  concerned: Concerned,
  nowMs: number,
): void {
  const { status } = node;
  const networks = observed.networks
    .filter(({ state }) => state !== "absent")
    .map(({ id }) => id)
    .sort();
  const owner = ownerOfKey(tx, node, observed.facts.overlayPublicKey);
  const { overlayPublicKey: _others, ...reachless } = observed.facts;
  const facts = owner === undefined ? observed.facts : reachless;
  let conditions = withCondition(status.conditions, "Ready", { state: "true", reason: "Reporting" }, nowMs);
  conditions = withCondition(conditions, "Strangers", strangersOf(tx, observed, concerned), nowMs);
  conditions = withCondition(conditions, "Overlay", owner === undefined ? undefined : notItsKey(owner), nowMs);
  const next = { ...status, connected: true, facts, networks, conditions, seenAt: timestamp(nowMs) };
  const ageMs = nowMs - Date.parse(status.seenAt ?? timestamp(0));
  if (ageMs < coarseWriteMs && isDeepStrictEqual(gist(status), gist(next))) return;
  tx.put({ ...node, status: next });
  for (const id of status.networks ?? []) {
    const network = networks.includes(id) ? undefined : tx.getById("Network", id);
    if (network !== undefined) reapNetwork(tx, network);
  }
}

/**
 * The node that has shown this key of the overlay before: what peers send to a key goes to one node, and no other may claim it.
 * Reads all nodes, but only when a key is new.
 */
function ownerOfKey(tx: Transaction, node: NodeResource, key: string | undefined): NodeResource | undefined {
  if (key === undefined || key === node.status.facts?.overlayPublicKey) return undefined;
  return tx
    .list("Node")
    .find(({ metadata, status }) => metadata.id !== node.metadata.id && status.facts?.overlayPublicKey === key);
}

function notItsKey({ metadata }: NodeResource) {
  const message = `Its overlay's key is that of the node ${metadata.name}, so that no other node talks to it there. Remove overlay.key below its data folder.`;
  return { state: "false" as const, reason: "KeyOfAnotherNode", message };
}

/** What of a node's status is written as soon as it changes. */
function gist({ seenAt: _when, facts, ...rest }: NodeResource["status"]): object {
  const { agentResidentMiB: _fluctuates, ...lasting } = facts ?? {};
  return { rest, lasting };
}

/** Guests and disks that the node has and the server knows nothing of: shown, and left alone. */
function strangersOf(tx: Transaction, observed: ObservedState, concerned: Concerned) {
  const instances = observed.instances.filter(
    ({ id, state }) => state !== "absent" && isStrange(tx, "Instance", id, concerned.instances),
  );
  const volumes = observed.volumes.filter(
    ({ id, state }) => state !== "absent" && isStrange(tx, "Volume", id, concerned.volumes),
  );
  const ids = [...instances, ...volumes].map(({ id }) => id);
  if (ids.length === 0) return undefined;
  const message = `The node has what the server did not put there: ${ids.join(", ")}. It is left alone.`;
  return { state: "true" as const, reason: "UnknownObjects", message: message.slice(0, 2048) };
}

function isStrange(tx: Transaction, kind: "Instance" | "Volume", id: string, concerned: readonly string[]): boolean {
  return !concerned.includes(id) || tx.getById(kind, id) === undefined;
}
