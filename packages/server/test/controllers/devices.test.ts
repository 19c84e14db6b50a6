import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SkerryError, type DeviceWish, type InstanceResource, type NodeDevice } from "@skerry/model";
import type { Store } from "@skerry/store";
import { pickDevices } from "../../src/controllers/devices.ts";
import { calmZone, useFleet } from "./fleet-suite.ts";
import type { ModelFleet } from "./model-fleet.ts";
import type { ModelNode } from "./model-node.ts";
import { act, contextAt, create, instanceSpec, nodeFacts, update } from "./zone-fixture.ts";

const minuteMs = 60_000;
const a100 = "10de:20b0";

const gpuAt = (address: string, more: Partial<NodeDevice> = {}): NodeDevice => ({
  ...{ kind: "gpu", model: a100, address, iommuGroup: Number.parseInt(address.slice(5, 7), 16) },
  ...more,
});

/** Two nodes with one GPU each. */
const devices: Readonly<Record<string, NodeDevice[]>> = {
  "mad-1": [gpuAt("0000:01:00.0", { functions: ["0000:01:00.1"] })],
  "par-1": [gpuAt("0000:41:00.0")],
};

describe("the devices that instances have for themselves", () => {
  let store: Store;
  let fleet: ModelFleet;
  useFleet(
    (suite) => {
      ({ store, fleet } = suite);
      fleet.facts = (name) => ({ ...nodeFacts, ...(devices[name] === undefined ? {} : { devices: devices[name] }) });
    },
    (suite) => calmZone()(suite),
  );

  const find = (name: string): InstanceResource =>
    store.get("Instance", { project: "shop", name }) ?? assert.fail(`there is no ${name}`);
  const nodeNamed = (name: string): ModelNode =>
    fleet.nodes.find((node) => node.name === name) ?? assert.fail(`there is no ${name}`);
  const ask = (name: string, wishes: DeviceWish[], more: Partial<InstanceResource["spec"]> = {}): Promise<unknown> =>
    store.transact((tx) => {
      const spec = { ...instanceSpec, devices: wishes, ...more };
      create(tx, fleet.controllers.intents, "Instance", { name, project: "shop" }, spec, fleet.clock.nowMs());
    });
  const move = (name: string, toNode: string): Promise<unknown> =>
    store.transact((tx) => act(tx, fleet.controllers.intents, find(name), "migrate", { toNode }, fleet.clock.nowMs()));
  const heldBy = (name: string) => find(name).assignment?.devices?.map(({ address }) => address);
  const isRefused = (words: RegExp) => (error: unknown) =>
    error instanceof SkerryError && error.code === "no-placement" && words.test(error.message);

  test("are named in the assignment and the wanted state, all their functions, and nobody else's", async () => {
    await ask("one", [{ kind: "gpu" }], { placement: { nodes: ["mad-1"] } });
    await fleet.calm();
    assert.deepEqual(find("one").assignment?.devices, [
      { kind: "gpu", model: a100, address: "0000:01:00.0", functions: ["0000:01:00.1"] },
    ]);
    assert.deepEqual(nodeNamed("mad-1").devicesInUse, ["0000:01:00.0", "0000:01:00.1"]);
    await assert.rejects(
      ask("two", [{ kind: "gpu" }], { placement: { nodes: ["mad-1"] } }),
      isRefused(/less than 1 gpu free/),
    );
    await ask("two", [{ kind: "gpu" }]);
    assert.deepEqual(heldBy("two"), ["0000:41:00.0"]);
    await assert.rejects(ask("three", [{ kind: "gpu" }]), isRefused(/device: 3 of 3 nodes have less than 1 gpu free/));
  });

  test("are not given for what is asked twice in one transaction", async () => {
    const spec = { ...instanceSpec, devices: [{ kind: "gpu" as const }], placement: { nodes: ["mad-1"] } };
    const both = store.transact((tx) => {
      for (const name of ["one", "two"])
        create(tx, fleet.controllers.intents, "Instance", { name, project: "shop" }, spec, fleet.clock.nowMs());
    });
    await assert.rejects(both, isRefused(/less than 1 gpu free/));
  });

  test("are of the model that is asked for, or there is no place", async () => {
    await assert.rejects(
      ask("one", [{ kind: "gpu", model: "10de:2204" }]),
      isRefused(/less than 1 gpu 10de:2204 free/),
    );
    await ask("one", [{ kind: "gpu", model: a100 }]);
    assert.equal(heldBy("one")?.length, 1);
    await assert.rejects(
      ask("two", [{ kind: "gpu" }, { kind: "gpu", model: a100 }]),
      isRefused(/less than 2 gpu free/),
    );
    await assert.rejects(ask("three", [{ kind: "pci" }]), isRefused(/less than 1 pci free/));
  });

  test("are free again once a deleted instance was seen gone, and no sooner", async () => {
    await ask("one", [{ kind: "gpu" }], { placement: { nodes: ["mad-1"] } });
    await fleet.calm();
    await store.transact((tx) => {
      fleet.controllers.intents.Instance.remove(tx, find("one"), contextAt(fleet.clock.nowMs()));
    });
    const again = () => ask("two", [{ kind: "gpu" }], { placement: { nodes: ["mad-1"] } });
    await assert.rejects(again(), isRefused(/gpu/));
    await fleet.calm();
    await again();
    assert.deepEqual(heldBy("two"), ["0000:01:00.0"]);
  });

  test("are others after a move, and those that it left are free once it is over", async () => {
    await ask("one", [{ kind: "gpu" }], { placement: { nodes: ["mad-1", "par-1"] } });
    await fleet.calm();
    const from = find("one").assignment?.node ?? "";
    const to = from === "mad-1" ? "par-1" : "mad-1";
    await assert.rejects(move("one", "ath-1"));
    await move("one", to);
    assert.equal(find("one").assignment?.movingTo?.devices?.[0]?.address, devices[to]?.[0]?.address);
    await assert.rejects(ask("two", [{ kind: "gpu" }]), isRefused(/gpu/), "both ends are its own while it moves");
    await fleet.calm();
    const { assignment } = find("one");
    assert.deepEqual([assignment?.node, assignment?.movingTo, assignment?.leaving], [to, undefined, undefined]);
    assert.deepEqual(nodeNamed(from).devicesInUse, []);
    assert.equal(nodeNamed(to).devicesInUse[0], devices[to]?.[0]?.address);
    await ask("two", [{ kind: "gpu" }]);
    assert.deepEqual(heldBy("two"), [devices[from]?.[0]?.address]);
  });

  test("are kept on the node that a move has left for as long as it may go back, and are its own again when it does", async () => {
    await ask("one", [{ kind: "gpu" }], { placement: { nodes: ["mad-1"] } });
    await fleet.calm();
    await store.transact((tx) => {
      update(tx, fleet.controllers.intents, find("one"), { placement: {} }, fleet.clock.nowMs());
    });
    nodeNamed("par-1").sick = true;
    await move("one", "par-1");
    await fleet.calm();
    assert.deepEqual([find("one").assignment?.node, nodeNamed("mad-1").guests.size], ["par-1", 0]);
    await assert.rejects(ask("two", [{ kind: "gpu" }]), isRefused(/gpu/));
    for (let minutes = 0; minutes < 15; minutes++) {
      await fleet.tick(minuteMs);
      await fleet.calm();
    }
    const { assignment } = find("one");
    assert.deepEqual([assignment?.node, heldBy("one"), assignment?.leaving], ["mad-1", ["0000:01:00.0"], undefined]);
    assert.deepEqual(nodeNamed("mad-1").devicesInUse, ["0000:01:00.0", "0000:01:00.1"]);
    await ask("two", [{ kind: "gpu" }]);
    assert.deepEqual(heldBy("two"), ["0000:41:00.0"]);
  });

  test("are not taken where the target of a move has them no more when it switches", async () => {
    await ask("one", [{ kind: "gpu" }], { placement: { nodes: ["mad-1", "par-1"] } });
    await fleet.calm();
    const from = find("one").assignment?.node ?? "";
    const to = from === "mad-1" ? "par-1" : "mad-1";
    await move("one", to);
    fleet.facts = (name) => (name === from ? { ...nodeFacts, devices: devices[from] ?? [] } : nodeFacts);
    for (let rounds = 0; rounds < 3; rounds++) {
      await fleet.calm();
      await fleet.tick(minuteMs);
    }
    const operation = store.list("Operation").find(({ spec }) => spec.type === "instance.migrate");
    assert.equal(operation?.status.state, "failed");
    assert.match(JSON.stringify(operation.status), new RegExp(`${to} has not what was kept for it there any more`));
    assert.equal(find("one").assignment?.node, from);
  });

  test("stay with what a node that is away may still run, and are free once it was seen without it", async () => {
    const onDisconnect = { replaceAfterSeconds: 60 };
    await ask("one", [{ kind: "gpu" }], { onDisconnect, placement: { nodes: ["mad-1", "par-1"] } });
    await fleet.calm();
    const from = find("one").assignment?.node ?? "";
    const to = from === "mad-1" ? "par-1" : "mad-1";
    const owner = nodeNamed(from);
    owner.alive = false;
    await fleet.unlink(owner);
    for (let minutes = 0; minutes < 5; minutes++) {
      await fleet.tick(minuteMs);
      await fleet.calm();
    }
    assert.deepEqual([find("one").assignment?.node, heldBy("one")], [to, [devices[to]?.[0]?.address]]);
    assert.deepEqual(
      find("one").assignment?.former?.[0]?.devices?.map(({ address }) => address),
      [devices[from]?.[0]?.address],
    );
    owner.alive = true;
    await fleet.link(owner);
    await assert.rejects(ask("two", [{ kind: "gpu" }]), isRefused(/gpu/));
    await fleet.calm();
    await ask("two", [{ kind: "gpu" }]);
    assert.deepEqual(heldBy("two"), [devices[from]?.[0]?.address]);
  });

  test("are what the guest was made with: no change takes or gives any", async () => {
    await ask("one", [{ kind: "gpu" }]);
    await fleet.calm();
    await assert.rejects(
      store.transact((tx) => {
        update(
          tx,
          fleet.controllers.intents,
          find("one"),
          { devices: [{ kind: "gpu", count: 2 }] },
          fleet.clock.nowMs(),
        );
      }),
      /devices/,
    );
  });
});

describe("which of a node's devices an instance gets", () => {
  const addresses = (free: readonly NodeDevice[], asked: Record<string, number>) =>
    pickDevices(free, asked).map(({ address }) => address);

  test("are all of one NUMA cell where one has enough, and the first by address", () => {
    const free = [
      gpuAt("0000:81:00.0", { numaCell: 1 }),
      gpuAt("0000:01:00.0", { numaCell: 0 }),
      gpuAt("0000:41:00.0", { numaCell: 1 }),
    ];
    assert.deepEqual(addresses(free, { gpu: 1 }), ["0000:01:00.0"]);
    assert.deepEqual(addresses(free, { gpu: 2 }), ["0000:41:00.0", "0000:81:00.0"]);
    assert.deepEqual(addresses(free, { gpu: 3 }).length, 3);
    assert.throws(() => addresses(free, { gpu: 4 }), RangeError);
  });

  test("are those of a model first, so that what may be any does not take them", () => {
    const free = [gpuAt("0000:01:00.0"), gpuAt("0000:41:00.0", { model: "10de:2204" })];
    assert.deepEqual(addresses(free, { gpu: 2, [`gpu ${a100}`]: 1 }).toSorted(), ["0000:01:00.0", "0000:41:00.0"]);
    assert.deepEqual(addresses(free, { gpu: 1, "gpu 10de:2204": 1 }), ["0000:41:00.0"]);
  });
});
