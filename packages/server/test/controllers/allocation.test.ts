import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Capacity, InstanceResource } from "@skerry/model";
import type { Store, Transaction, View } from "@skerry/store";
import { Allocation } from "../../src/controllers/allocation.ts";
import type { IntentTable } from "../../src/intents.ts";
import { calmZone, useFleet } from "./fleet-suite.ts";
import type { ModelFleet } from "./model-fleet.ts";
import { act, contextAt, create, instanceSpec, update } from "./zone-fixture.ts";

/** The same sums, counted anew from all objects. */
function counted(view: View, nodeId: string): Capacity {
  const total = { vcpus: 0, memoryMiB: 0, diskMiB: 0 };
  for (const { assignment, spec, metadata } of view.list("Instance")) {
    const runs = [assignment?.nodeId, assignment?.movingTo?.nodeId].includes(nodeId);
    const volume = view.get("Volume", { project: metadata.project, name: metadata.name });
    const lies = runs || (volume?.assignment?.copies ?? []).some((copy) => copy.nodeId === nodeId);
    if (runs) total.vcpus += spec.vcpus;
    if (runs) total.memoryMiB += spec.memoryMiB;
    if (lies) total.diskMiB += volume?.spec.sizeMiB ?? 0;
  }
  return total;
}

describe("what is taken on nodes", () => {
  let store: Store;
  let fleet: ModelFleet;
  let intents: IntentTable;

  const nowMs = () => fleet.clock.nowMs();
  const web = (name: string): InstanceResource =>
    store.get("Instance", { project: "shop", name }) ?? assert.fail("no instance");
  const check = (allocation: Allocation, view: View) => {
    const used = allocation.in(view);
    for (const node of view.list("Node")) assert.deepEqual(used(node.metadata.id), counted(view, node.metadata.id));
  };

  useFleet(
    (suite) => ({ store, fleet } = suite),
    async (suite) => {
      await calmZone()(suite);
      ({ intents } = fleet.controllers);
    },
  );

  test("is right at every moment of an instance's life, in flight or durable", async () => {
    const allocation = new Allocation(store);
    const work = [
      (tx: Transaction) => create(tx, intents, "Instance", { name: "one", project: "shop" }, instanceSpec, nowMs()),
      (tx: Transaction) => act(tx, intents, web("one"), "stop", {}, nowMs()),
      (tx: Transaction) => update(tx, intents, web("one"), { vcpus: 3, diskMiB: 4096 }, nowMs()),
      (tx: Transaction) => act(tx, intents, web("one"), "migrate", {}, nowMs()),
      (tx: Transaction) => intents.Instance.remove(tx, web("one"), contextAt(nowMs())),
    ];
    for (const wish of work) {
      const committed = store.transact((tx) => {
        wish(tx);
        check(allocation, tx);
      });
      // The next transaction comes before this one is durable.
      const next = store.transact((tx) => check(allocation, tx));
      await Promise.all([committed, next]);
      check(allocation, store);
      await fleet.calm();
      check(allocation, store);
    }
    assert.deepEqual(store.list("Instance"), []);
    allocation.close();
  });

  test("does not count what was rehearsed or refused", async () => {
    const allocation = new Allocation(store);
    const wish = (tx: Transaction) => {
      create(tx, intents, "Instance", { name: "one", project: "shop" }, instanceSpec, nowMs());
      check(allocation, tx);
    };
    store.rehearse(wish);
    await assert.rejects(
      store.transact((tx) => {
        wish(tx);
        throw new Error("after all not");
      }),
    );
    check(allocation, store);
    for (const node of store.list("Node")) assert.equal(allocation.in(store)(node.metadata.id).vcpus, 0);
    allocation.close();
  });

  test("counts what a transaction has amended, not what it had put before", async () => {
    const allocation = new Allocation(store);
    await store.transact((tx) =>
      create(tx, intents, "Instance", { name: "one", project: "shop" }, instanceSpec, nowMs()),
    );
    store.rehearse((tx) => {
      const put = tx.put({ ...web("one"), spec: { ...web("one").spec, vcpus: 2 } });
      check(allocation, tx);
      tx.amend({ ...put, spec: { ...put.spec, vcpus: 3 } });
      check(allocation, tx);
    });
    check(allocation, store);
    allocation.close();
  });

  test("is counted at once for many that are made together, so that no node is overcommitted", async () => {
    const spec = { ...instanceSpec, vcpus: 3, placement: { countries: ["FR"] } };
    const wishes = ["one", "two", "three"].map((name) =>
      store.transact((tx) => create(tx, intents, "Instance", { name, project: "shop" }, spec, nowMs())),
    );
    const outcomes = await Promise.allSettled(wishes);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["fulfilled", "fulfilled", "rejected"],
    );
  });

  test("gives instances of one transaction an address each, and gives again what one has taken in vain", async () => {
    const make = (tx: Transaction, name: string) =>
      create(tx, intents, "Instance", { name, project: "shop" }, instanceSpec, nowMs());
    const inVain = store.transact((tx) => {
      make(tx, "one");
      throw new Error("after all not");
    });
    await assert.rejects(inVain, /after all not/);
    await store.transact((tx) => {
      make(tx, "one");
      make(tx, "two");
    });
    assert.deepEqual(
      ["one", "two"].map((name) => web(name).status.addresses[0]?.address),
      ["10.20.0.2", "10.20.0.3"],
    );
  });
});
