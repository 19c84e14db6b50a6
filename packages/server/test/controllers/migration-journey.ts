import assert from "node:assert/strict";
import { SkerryError, type OperationResource } from "@skerry/model";
import type { Store } from "@skerry/store";
import { isOver } from "../../src/operations/transitions.ts";
import { empty } from "../fakes/scratch-store.ts";
import { ask, contentOf, happen, heal, instanceOf, settleIn, type Incident } from "./migration-scenario.ts";
import { ModelFleet } from "./model-fleet.ts";
import type { ModelNode } from "./model-node.ts";

/** One move of several in a row, to the node where the instance is not, and what happens meanwhile and after it. */
export interface Leg {
  readonly incidents: readonly Incident[];
  /** Guests never become healthy at this move's target. */
  readonly sickTarget: boolean;
}

export interface LegEnding {
  readonly state: OperationResource["status"]["state"];
  readonly owner: string;
  /** Whether the other node has a whole copy of the disk at the end of the move. */
  readonly copyElsewhere: boolean;
  /** What the first request for this move was refused with, if it was. */
  readonly refused?: string;
}

/**
 * Moves an instance to and fro between two nodes. Nothing but time heals between two moves, so that the next may be asked for
 * while a copy of an earlier one is still somewhere. Checks after each event that no more than one copy runs, and that each
 * move begins with all that was written before; and in the end that nothing is left anywhere.
 */
export async function playJourney(store: Store, legs: readonly Leg[]): Promise<readonly LegEnding[]> {
  await empty(store);
  const fleet = new ModelFleet(store);
  try {
    const nodes = await settleIn(fleet, true);
    const endings: LegEnding[] = [];
    for (const leg of legs) endings.push(await playLeg(fleet, nodes, leg));
    for (const node of nodes) node.sick = false;
    await upAndCalm(fleet, nodes);
    checkOneIsLeft(store, nodes);
    return endings;
  } finally {
    fleet.killServer();
  }
}

async function playLeg(fleet: ModelFleet, nodes: readonly [ModelNode, ModelNode], leg: Leg): Promise<LegEnding> {
  const source = ownerOf(fleet.store, nodes);
  const target = nodes[0] === source ? nodes[1] : nodes[0];
  source.sick = false;
  target.sick = false;
  const { operation, refused } = await askTwice(fleet, nodes, target.name);
  target.sick = leg.sickTarget;
  let newest = contentOf(source);
  const check = () => {
    const running = nodes.filter((node) => node.runs).map(({ name }) => name);
    assert.ok(running.length <= 1, `the instance runs on ${running.join(" and ")}`);
    if (ownerOf(fleet.store, nodes) === source) newest = contentOf(source);
  };
  for (const incident of leg.incidents) {
    await happen(fleet, nodes, operation, incident);
    check();
  }
  const current = fleet.store.getById("Operation", operation.metadata.id);
  assert.ok(current !== undefined);
  const { status } = isOver(current.status.state) ? current : await heal(fleet, operation, check);
  const owner = ownerOf(fleet.store, nodes);
  assert.ok(contentOf(owner).startsWith(newest), `${contentOf(owner)} lacks what was written before: ${newest}`);
  const elsewhere = owner === source ? target : source;
  const copyElsewhere = [...elsewhere.disks.values()].some(({ whole }) => whole);
  return { state: status.state, owner: owner.name, copyElsewhere, ...(refused === undefined ? {} : { refused }) };
}

/** As a person would: told that something is in the way, they wait until it is gone. */
async function askTwice(
  fleet: ModelFleet,
  nodes: readonly ModelNode[],
  toNode: string,
): Promise<{ readonly operation: OperationResource; readonly refused?: string }> {
  if (!fleet.serverIsUp) {
    fleet.killServer();
    await fleet.startServer();
  }
  try {
    return { operation: await ask(fleet, { toNode }) };
  } catch (error) {
    if (!(error instanceof SkerryError)) throw error;
    await upAndCalm(fleet, nodes);
    return { operation: await ask(fleet, { toNode }), refused: error.code };
  }
}

async function upAndCalm(fleet: ModelFleet, nodes: readonly ModelNode[]): Promise<void> {
  if (!fleet.serverIsUp) {
    fleet.killServer();
    await fleet.startServer();
  }
  for (const node of nodes) node.alive = true;
  await fleet.calm();
}

function ownerOf(store: Store, nodes: readonly [ModelNode, ModelNode]): ModelNode {
  return nodes[0].id === instanceOf(store).assignment?.nodeId ? nodes[0] : nodes[1];
}

function checkOneIsLeft(store: Store, nodes: readonly [ModelNode, ModelNode]): void {
  const owner = ownerOf(store, nodes);
  const elsewhere = nodes[0] === owner ? nodes[1] : nodes[0];
  const { assignment, metadata } = instanceOf(store);
  const volume = store.get("Volume", { project: "shop", name: "web" });
  assert.ok(owner.guests.get(metadata.id)?.running === true && owner.disks.size === 1);
  assert.deepEqual([elsewhere.disks.size, elsewhere.guests.size], [0, 0], `something is left on ${elsewhere.name}`);
  assert.deepEqual(
    [assignment?.heldBy, assignment?.movingTo, assignment?.former ?? [], volume?.assignment?.copies ?? []],
    [undefined, undefined, [], []],
    "nothing waits any more",
  );
  assert.equal(assignment?.epoch, volume?.assignment?.epoch);
}
