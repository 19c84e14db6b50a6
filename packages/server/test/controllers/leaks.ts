import assert from "node:assert/strict";
import type { Capacity, InstanceResource, ResourceOf } from "@skerry/model";
import type { Transaction, View } from "@skerry/store";
import { isOver } from "../../src/operations/transitions.ts";
import type { ModelFleet } from "./model-fleet.ts";
import { checkUsage } from "./usage-count.ts";
import { create, instanceSpec, nodeFacts } from "./zone-fixture.ts";

/**
 * Whether everything that is there belongs to something: for a fleet in which all is up, calm and well. Disks, guests,
 * addresses, room on nodes, join tokens, marks that operations leave on objects, and operations themselves.
 */
export function checkNothingLeaks(fleet: ModelFleet): void {
  const { store } = fleet;
  for (const { metadata, status } of store.list("Operation"))
    assert.ok(isOver(status.state), `${metadata.name} is ${status.state} for ever`);
  const unused = store.list("JoinToken").filter(({ status }) => status.usedAt === undefined);
  assert.deepEqual(unused, [], "a join token is left");
  checkObjects(store);
  checkNodes(fleet);
  checkAddresses(fleet);
  checkRoom(fleet);
  checkUsage(fleet.store, (resource) => fleet.controllers.freshen(resource));
}

function checkObjects(view: View): void {
  for (const { metadata, assignment } of view.list("Instance")) {
    assert.equal(metadata.deletedAt, undefined, `${metadata.name} is being deleted for ever`);
    const marks = [assignment?.heldBy, assignment?.movingTo, assignment?.removal, ...(assignment?.former ?? [])];
    assert.deepEqual(
      marks.filter((mark) => mark !== undefined),
      [],
      `marks are left on ${metadata.name}`,
    );
  }
  for (const { metadata, assignment, spec } of view.list("Volume")) {
    const owner = view.get("Instance", { project: metadata.project, name: spec.instance ?? "" });
    assert.ok(owner !== undefined, `the volume ${metadata.name} belongs to nothing`);
    assert.deepEqual([assignment?.nodeId, assignment?.epoch], [owner.assignment?.nodeId, owner.assignment?.epoch]);
    const marks = [assignment?.offeredTo, assignment?.removal, ...(assignment?.copies ?? [])];
    assert.deepEqual(
      marks.filter((mark) => mark !== undefined),
      [],
      `marks are left on the volume ${metadata.name}`,
    );
  }
}

/** Nodes have what is assigned to them and nothing else, and run what is to run. */
function checkNodes({ nodes, store }: ModelFleet): void {
  for (const node of nodes) {
    const guests = store.list("Instance").filter(({ assignment }) => assignment?.nodeId === node.id);
    const disks = store.list("Volume").filter(({ assignment }) => assignment?.nodeId === node.id);
    assert.deepEqual([...node.guests.keys()].sort(), idsOf(guests), `the guests on ${node.name}`);
    assert.deepEqual([...node.disks.keys()].sort(), idsOf(disks), `the disks on ${node.name}`);
    for (const { metadata, spec } of guests)
      assert.equal(
        node.guests.get(metadata.id)?.running,
        spec.power !== "stopped",
        `${metadata.name} does as it was told`,
      );
    const strangers = store.getById("Node", node.id)?.status.conditions.find(({ type }) => type === "Strangers");
    assert.ok(strangers?.state !== "true", strangers?.message);
  }
}

function idsOf(objects: readonly { readonly metadata: { readonly id: string } }[]): string[] {
  return objects.map(({ metadata }) => metadata.id).sort();
}

/** As many are counted as leased as instances hold, none of them twice. */
function checkAddresses({ store, controllers }: ModelFleet): void {
  for (const network of store.list("Network")) {
    const { name } = network.metadata;
    const addresses = store.list("Instance").flatMap(({ status }) => status.addresses);
    const held = addresses.filter((one) => one.network === name).map(({ address }) => address);
    assert.equal(new Set(held).size, held.length, `an address of ${name} is held twice`);
    assert.equal(controllers.freshen(network).status.leased, held.length, `addresses of ${name} are counted as leased`);
  }
}

/** The server still gives away exactly what nobody has: all that is left of a node, and not one vCPU more. */
function checkRoom(fleet: ModelFleet): void {
  for (const { id, name } of fleet.nodes) {
    if (fleet.store.getById("Node", id)?.status.connected !== true) continue;
    const taken = takenOn(fleet.store.list("Instance"), fleet.store, id);
    const left = {
      vcpus: nodeFacts.capacity.vcpus - taken.vcpus,
      memoryMiB: nodeFacts.capacity.memoryMiB - taken.memoryMiB,
      diskMiB: nodeFacts.capacity.diskMiB - taken.diskMiB,
    };
    const fill = (wanted: Capacity) => {
      const spec = { ...instanceSpec, ...wanted, placement: { nodes: [name] } };
      const { intents } = fleet.controllers;
      const wish = { name: "filler", project: "shop" };
      fleet.store.rehearse((tx) => {
        for (const kind of ["Node", "Site", "Provider"] as const) for (const one of tx.list(kind)) uncordon(tx, one);
        create(tx, intents, "Instance", wish, spec, fleet.clock.nowMs());
      });
    };
    assert.doesNotThrow(() => fill(left), `room on ${name} is not given back`);
    assert.throws(() => fill({ ...left, vcpus: left.vcpus + 1 }), { code: "no-placement" });
  }
}

function uncordon(tx: Transaction, one: ResourceOf<"Node" | "Site" | "Provider">): void {
  if (one.spec.schedulable === false) tx.put({ ...one, spec: { ...one.spec, schedulable: true } } as typeof one);
}

function takenOn(instances: readonly InstanceResource[], view: View, nodeId: string): Capacity {
  const here = instances.filter(({ assignment }) => assignment?.nodeId === nodeId);
  const diskOf = ({ metadata }: InstanceResource) =>
    view.get("Volume", { project: metadata.project, name: metadata.name })?.spec.sizeMiB ?? 0;
  return {
    vcpus: here.reduce((sum, { spec }) => sum + spec.vcpus, 0),
    memoryMiB: here.reduce((sum, { spec }) => sum + spec.memoryMiB, 0),
    diskMiB: here.reduce((sum, instance) => sum + diskOf(instance), 0),
  };
}
