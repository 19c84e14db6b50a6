import assert from "node:assert/strict";
import fc from "fast-check";
import type { InstanceResource, OperationResource } from "@skerry/model";
import type { Store } from "@skerry/store";
import { isOver } from "../../src/operations/transitions.ts";
import type { Death } from "../fakes/mortal-store.ts";
import { empty } from "../fakes/scratch-store.ts";
import { ModelFleet } from "./model-fleet.ts";
import type { ModelNode } from "./model-node.ts";
import { act, create, instanceSpec, seedZone } from "./zone-fixture.ts";

/** What can happen at any moment of a migration; `node` is 0 for the source and 1 for the target. */
export type Incident =
  | {
      readonly kind: "work" | "deliver" | "report" | "cut" | "link" | "kill-agent" | "start-agent" | "reboot";
      readonly node: 0 | 1;
    }
  /** One of the things that the node can do now. */
  | { readonly kind: "act"; readonly node: 0 | 1; readonly pick: number }
  | { readonly kind: "tick" | "long-tick" | "kill-server" | "start-server" | "cancel" };

export interface Scenario {
  readonly incidents: readonly Incident[];
  /** Whether the instance runs when the migration is asked for. */
  readonly running: boolean;
  /** Guests never become healthy at the target. */
  readonly sickTarget: boolean;
  /** The first run of the server ends at one of its transactions. */
  readonly death?: Death;
}

const aNode = fc.constantFrom(0 as const, 1 as const);

function onNode<K extends string>(...kinds: readonly K[]) {
  return fc.record({ kind: fc.constantFrom(...kinds), node: aNode });
}

function alone<K extends string>(...kinds: readonly K[]) {
  return fc.record({ kind: fc.constantFrom(...kinds) });
}

export const incident: fc.Arbitrary<Incident> = fc.oneof(
  { weight: 6, arbitrary: onNode("work") },
  { weight: 6, arbitrary: onNode("deliver", "report") },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("act" as const), node: aNode, pick: fc.nat({ max: 3 }) }) },
  { weight: 3, arbitrary: alone("tick", "tick", "long-tick") },
  { weight: 4, arbitrary: onNode("cut", "link", "kill-agent", "start-agent", "reboot") },
  { weight: 2, arbitrary: alone("kill-server", "start-server") },
  { weight: 1, arbitrary: alone("cancel") },
);

/** Some of the way without trouble, so that every phase is reached often; then anything. */
export const anyScenario: fc.Arbitrary<Scenario> = fc.record(
  {
    incidents: fc
      .tuple(fc.nat({ max: 6 }), fc.array(incident, { minLength: 5, maxLength: 45 }))
      .map(([rounds, trouble]) => [...Array.from({ length: rounds }, () => workOnBoth).flat(), ...trouble]),
    running: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    sickTarget: fc.boolean(),
    death: fc.record({ transaction: fc.nat({ max: 60 }), when: fc.constantFrom("before" as const, "after" as const) }),
  },
  { requiredKeys: ["incidents", "running", "sickTarget"] },
);

const workOnBoth: readonly Incident[] = [
  { kind: "work", node: 0 },
  { kind: "work", node: 1 },
];

export interface Ending {
  readonly state: OperationResource["status"]["state"];
  /** Where the instance is: 0 at the source, 1 at the target. */
  readonly owner: number;
  readonly operation: OperationResource;
}

/** One migration with everything that may happen to it; checks after each event that no more than one copy runs, and the end. */
export async function playMigration(
  store: Store,
  scenario: Scenario,
  afterwards: (fleet: ModelFleet, nodes: readonly [ModelNode, ModelNode]) => Promise<void> = () => Promise.resolve(),
): Promise<Ending> {
  await empty(store);
  const fleet = new ModelFleet(store);
  try {
    const { operation, nodes } = await begin(fleet, scenario);
    const [source] = nodes;
    let lastOfSource = contentOf(source);
    const check = () => {
      const running = fleet.nodes.filter((node) => node.runs).map(({ name }) => name);
      assert.ok(running.length <= 1, `the instance runs on ${running.join(" and ")}`);
      if (!source.runs && source.disks.size > 0) lastOfSource = contentOf(source);
    };
    for (const event of scenario.incidents) {
      await happen(fleet, nodes, operation, event);
      check();
    }
    const ended = await heal(fleet, operation, check);
    const ending = checkEnding(store, nodes, scenario, ended, lastOfSource);
    await afterwards(fleet, nodes);
    return ending;
  } finally {
    fleet.killServer();
  }
}

async function begin(fleet: ModelFleet, { running, sickTarget, death }: Scenario) {
  const nodes = await settleIn(fleet, running);
  nodes[1].sick = sickTarget;
  const operation = await ask(fleet);
  if (death !== undefined) fleet.killServerAt(death);
  await fleet.settle();
  return { operation, nodes };
}

/** Two nodes with an instance on the first, which is well. */
export async function settleIn(fleet: ModelFleet, running: boolean): Promise<readonly [ModelNode, ModelNode]> {
  await fleet.startServer();
  await seedZone(fleet.store, fleet.controllers.intents, fleet.clock.nowMs(), 2);
  fleet.addNodes();
  await fleet.calm();
  const wish = { name: "web", project: "shop" };
  const spec = { ...instanceSpec, ...(running ? {} : { power: "stopped" as const }) };
  await fleet.store.transact((tx) =>
    create(tx, fleet.controllers.intents, "Instance", wish, spec, fleet.clock.nowMs()),
  );
  await fleet.calm();
  const instance = instanceOf(fleet.store);
  const nodes = [...fleet.nodes].sort((one) => (one.id === instance.assignment?.nodeId ? -1 : 1)) as [
    ModelNode,
    ModelNode,
  ];
  if (running) assert.equal(instance.status.health, "healthy", JSON.stringify(instance.status));
  return nodes;
}

/** Asks for a migration, to wherever it may go where `input` names no target. */
export async function ask(fleet: ModelFleet, input: { readonly toNode?: string } = {}): Promise<OperationResource> {
  const { intents } = fleet.controllers;
  const { result } = await fleet.store.transact((tx) =>
    act(tx, intents, instanceOf(fleet.store), "migrate", input, fleet.clock.nowMs()),
  );
  assert.ok(result.operation !== undefined);
  return result.operation;
}

export async function happen(
  fleet: ModelFleet,
  nodes: readonly [ModelNode, ModelNode],
  operation: OperationResource,
  event: Incident,
): Promise<void> {
  if (!fleet.serverIsUp && event.kind !== "start-server") fleet.killServer();
  switch (event.kind) {
    case "work": {
      const node = nodes[event.node];
      await fleet.link(node);
      fleet.deliver(node);
      while (node.act()) continue;
      await fleet.report(node);
      break;
    }
    case "deliver":
      fleet.deliver(nodes[event.node]);
      break;
    case "act":
      nodes[event.node].act(event.pick);
      break;
    case "report":
      await fleet.report(nodes[event.node]);
      break;
    case "cut":
      await fleet.unlink(nodes[event.node]);
      break;
    case "link":
      await fleet.link(nodes[event.node]);
      break;
    case "kill-agent":
      nodes[event.node].alive = false;
      await fleet.unlink(nodes[event.node]);
      break;
    case "start-agent":
      nodes[event.node].alive = true;
      break;
    case "reboot":
      await fleet.unlink(nodes[event.node]);
      nodes[event.node].reboot();
      break;
    case "tick":
      await fleet.tick(15_000);
      break;
    case "long-tick":
      await fleet.tick(11 * 60_000);
      break;
    case "kill-server":
      fleet.killServer();
      break;
    case "start-server":
      if (!fleet.serverIsUp) {
        fleet.killServer();
        await fleet.startServer();
      }
      break;
    case "cancel":
      await cancel(fleet, operation);
      break;
  }
}

async function cancel(fleet: ModelFleet, operation: OperationResource): Promise<void> {
  if (!fleet.serverIsUp) return;
  const { intents } = fleet.controllers;
  const current = fleet.store.getById("Operation", operation.metadata.id);
  if (current === undefined) return;
  await fleet.store
    .transact((tx) => act(tx, intents, current, "cancel", {}, fleet.clock.nowMs()))
    // Too late is an answer too.
    .catch((error: unknown) => assert.equal((error as { code?: string }).code, "conflict"));
  await fleet.settle();
}

/** Half a day, in steps of a quarter of a minute. */
const mostTicks = 3000;

/** Everything comes back, and time passes until the operation is over and all that follows from it has happened. */
export async function heal(
  fleet: ModelFleet,
  operation: OperationResource,
  check: () => void,
): Promise<OperationResource> {
  if (!fleet.serverIsUp) {
    fleet.killServer();
    await fleet.startServer();
  }
  for (const node of fleet.nodes) node.alive = true;
  for (let ticks = 0; ticks < mostTicks; ticks++) {
    if (!fleet.serverIsUp) {
      fleet.killServer();
      await fleet.startServer();
    }
    await fleet.calm();
    check();
    const current = fleet.store.getById("Operation", operation.metadata.id);
    if (current !== undefined && isOver(current.status.state)) {
      await fleet.calm();
      check();
      if (fleet.serverIsUp) return current;
    }
    await fleet.tick(15_000);
    check();
  }
  const current = fleet.store.getById("Operation", operation.metadata.id);
  throw new Error(`the operation never ends: ${JSON.stringify(current?.status)}`);
}

function checkEnding(
  store: Store,
  nodes: readonly [ModelNode, ModelNode],
  scenario: Scenario,
  operation: OperationResource,
  lastOfSource: string,
): Ending {
  const { assignment, metadata } = instanceOf(store);
  const volume = store.get("Volume", { project: "shop", name: "web" });
  const owner = nodes.findIndex(({ id }) => id === assignment?.nodeId);
  const [there, elsewhere] = owner === 0 ? nodes : [nodes[1], nodes[0]];
  // A target that was never well and could not be had back: the source's disk is kept, and nothing else.
  const kept =
    owner === 1 && operation.status.state !== "succeeded" && scenario.sickTarget ? [...elsewhere.disks.keys()] : [];
  assert.deepEqual([...elsewhere.disks.keys()], kept, `a copy of the disk is left on ${elsewhere.name}`);
  assert.deepEqual([...elsewhere.guests.keys()], [], `the guest is left on ${elsewhere.name}`);
  assert.deepEqual([...there.disks.keys()], [volume?.metadata.id]);
  assert.equal(there.guests.get(metadata.id)?.running, scenario.running, "it does as it did before");
  assert.ok(
    contentOf(there).startsWith(lastOfSource),
    `${contentOf(there)} lacks what the source had: ${lastOfSource}`,
  );
  assert.equal(assignment?.epoch, volume?.assignment?.epoch);
  assert.deepEqual(
    [
      assignment?.heldBy,
      assignment?.movingTo,
      assignment?.former ?? [],
      volume?.assignment?.offeredTo,
      (volume?.assignment?.copies ?? []).map(({ purpose }) => purpose),
    ],
    [undefined, undefined, [], undefined, kept.map(() => "hold")],
    "nothing waits any more",
  );
  if (operation.status.state === "succeeded") assert.equal(owner, 1);
  return { state: operation.status.state, owner, operation };
}

/** What was ever written to the disks of a node. */
export function contentOf(node: ModelNode): string {
  return [...node.disks.values()].map(({ content }) => content).join("");
}

export function instanceOf(store: Store): InstanceResource {
  const instance = store.get("Instance", { project: "shop", name: "web" });
  assert.ok(instance !== undefined);
  return instance;
}
