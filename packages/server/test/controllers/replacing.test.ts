import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { InstanceResource, OnDisconnect, OperationResource, PlacementConstraints } from "@skerry/model";
import type { Static } from "typebox";
import type { Store } from "@skerry/store";
import { isOver } from "../../src/operations/transitions.ts";
import { empty, useScratchStore } from "../fakes/scratch-store.ts";
import { ModelFleet } from "./model-fleet.ts";
import type { ModelNode } from "./model-node.ts";
import { create, instanceSpec, seedZone, update } from "./zone-fixture.ts";

const key = { name: "web", project: "shop" };
const minuteMs = 60_000;
const afterTenMinutes: OnDisconnect = { replaceAfterSeconds: 600 };

describe("replacing", () => {
  let store: Store;
  useScratchStore((opened) => (store = opened));

  const web = (): InstanceResource => store.get("Instance", key) ?? assert.fail("there is no instance");
  const said = () => web().status.conditions.find(({ type }) => type === "Replacing");
  const replacements = (): readonly OperationResource[] =>
    store.list("Operation").filter(({ spec }) => spec.type === "instance.replace");

  /** Three nodes with a running instance on one, which is away from then on; the others work for so long. */
  async function away(
    onDisconnect: OnDisconnect,
    minutes: number,
    then: (fleet: ModelFleet, owner: ModelNode) => Promise<void>,
    placement?: Static<typeof PlacementConstraints>,
  ): Promise<void> {
    await empty(store);
    const fleet = new ModelFleet(store);
    try {
      await fleet.startServer();
      await seedZone(store, fleet.controllers.intents, fleet.clock.nowMs());
      fleet.addNodes();
      await fleet.calm();
      const spec = { ...instanceSpec, onDisconnect, ...(placement === undefined ? {} : { placement }) };
      await store.transact((tx) => create(tx, fleet.controllers.intents, "Instance", key, spec, fleet.clock.nowMs()));
      await fleet.calm();
      const owner = fleet.nodes.find(({ id }) => id === web().assignment?.nodeId) ?? assert.fail("it is nowhere");
      assert.equal(owner.runs, true);
      owner.alive = false;
      await fleet.unlink(owner);
      await work(fleet, minutes);
      await then(fleet, owner);
    } finally {
      fleet.killServer();
    }
  }

  async function work(fleet: ModelFleet, minutes: number): Promise<void> {
    for (let count = 0; count < minutes; count++) {
      await fleet.tick(minuteMs);
      await fleet.calm();
    }
  }

  test("starts it anew elsewhere under its name, id and addresses, and the old node gives up what it had", async () => {
    await away(afterTenMinutes, 13, async (fleet, owner) => {
      const { metadata, status, assignment } = web();
      assert.equal(replacements()[0]?.status.state, "succeeded");
      assert.deepEqual([status.health, assignment?.epoch, owner.runs], ["healthy", 2, false]);
      assert.notEqual(assignment?.nodeId, owner.id);
      const there = fleet.nodes.find(({ id }) => id === assignment?.nodeId);
      assert.match([...(there?.disks.values() ?? [])][0]?.content ?? "", /^image \S+ $/, "made from the image alone");
      owner.alive = true;
      await fleet.calm();
      assert.deepEqual([owner.guests.size, owner.disks.size], [0, 0]);
      assert.deepEqual([web().metadata.id, web().status.addresses], [metadata.id, status.addresses]);
      assert.deepEqual([web().assignment?.former, web().assignment?.nodeId], [[], there?.id]);
    });
  });

  test("never moves what is kept", async () => {
    await away("keep", 100, async (_fleet, owner) => {
      assert.deepEqual([replacements().length, owner.runs, web().assignment?.epoch], [0, true, 1]);
    });
  });

  test("lets it be where its node comes back in time", async () => {
    await away(afterTenMinutes, 5, async (fleet, owner) => {
      owner.alive = true;
      await work(fleet, 30);
      assert.deepEqual([replacements().length, owner.runs, web().assignment?.epoch], [0, true, 1]);
    });
  });

  test("waits with the reason while no other node will do, and does it once one does", async () => {
    const whereItIs = { countries: ["ES"] };
    await away(
      afterTenMinutes,
      20,
      async (fleet) => {
        const [operation] = replacements();
        assert.match(operation?.status.steps[0]?.message ?? "", /no other node will do/);
        assert.deepEqual([said()?.state, said()?.reason], ["false", "NoOtherNode"]);
        assert.match(said()?.message ?? "", /^mad-1 is away, and no other node will do: /);
        assert.equal(web().assignment?.epoch, 1);
        await store.transact((tx) => {
          const { intents } = fleet.controllers;
          create(tx, intents, "Node", { name: "mad-2" }, { site: "madrid" }, fleet.clock.nowMs());
          const node = tx.get("Node", { name: "mad-2" }) ?? assert.fail("no node");
          tx.put({ ...node, status: { ...node.status, publicKey: "key of mad-2" } });
        });
        fleet.addNodes();
        await work(fleet, 3);
        assert.deepEqual([web().assignment?.node, web().status.health], ["mad-2", "healthy"]);
        assert.equal(said(), undefined);
      },
      whereItIs,
    );
  });

  test("ends with nothing done where its node comes back while it waits", async () => {
    const only = { countries: ["ES"] };
    await away(
      afterTenMinutes,
      20,
      async (fleet, owner) => {
        owner.alive = true;
        await work(fleet, 3);
        const [operation] = replacements();
        assert.equal(operation?.status.result?.["replaced"], false);
        assert.deepEqual([owner.runs, web().assignment?.epoch], [true, 1]);
        assert.equal(said(), undefined);
      },
      only,
    );
  });

  test("an instance says no more why it is not replaced once its owner has stopped it", async () => {
    await away(
      afterTenMinutes,
      20,
      async (fleet) => {
        assert.equal(said()?.reason, "NoOtherNode");
        const { intents } = fleet.controllers;
        await store.transact((tx) => update(tx, intents, web(), { power: "stopped" }, fleet.clock.nowMs()));
        await work(fleet, 2);
        assert.equal(said(), undefined);
      },
      { countries: ["ES"] },
    );
  });

  test("a wait for a place changes the instance once, however often it looks", async () => {
    await away(
      afterTenMinutes,
      20,
      async (fleet) => {
        const { revision } = web().metadata;
        await work(fleet, 10);
        assert.equal(web().metadata.revision, revision);
      },
      { countries: ["ES"] },
    );
  });

  test("says of no other node what it is called while it waits: whoever reads the instance reads that", async () => {
    const apart = { relation: "apart", by: "node", labels: { app: "db" } } as const;
    await away(
      afterTenMinutes,
      5,
      async (fleet, owner) => {
        const others = fleet.nodes.filter((node) => node !== owner);
        await store.transact((tx) => {
          for (const { name } of others) {
            const db = { name: `db-${name}`, project: "shop", labels: { app: "db" } };
            const pinned = { ...instanceSpec, placement: { nodes: [name] } };
            create(tx, fleet.controllers.intents, "Instance", db, pinned, fleet.clock.nowMs());
          }
        });
        await work(fleet, 15);
        assert.match(said()?.message ?? "", /no other node will do: .*a node at (paris|athens)/);
        const told = JSON.stringify([web(), replacements()]);
        for (const { name } of others) assert.ok(!told.includes(name), told);
      },
      { affinity: [apart] },
    );
  });

  test("waits while all other nodes are cordoned, by themselves or with their site", async () => {
    await away(afterTenMinutes, 5, async (fleet, owner) => {
      const [one, other] = fleet.nodes.filter((node) => node !== owner);
      const site = store.get("Node", { name: other?.name ?? "" })?.spec.site ?? "";
      const set = (schedulable: boolean) =>
        store.transact((tx) => {
          const closed = [tx.getById("Node", one?.id ?? ""), tx.get("Site", { name: site })];
          for (const found of closed)
            if (found !== undefined) update(tx, fleet.controllers.intents, found, { schedulable }, fleet.clock.nowMs());
        });
      await set(false);
      await work(fleet, 15);
      assert.match(said()?.message ?? "", /2 of 3 nodes are cordoned/);
      await set(true);
      await work(fleet, 2);
      assert.equal(web().assignment?.epoch, 2);
    });
  });

  test("a server that has just started waits a whole lease: it does not know what the one before has granted", async () => {
    await away(afterTenMinutes, 5, async (fleet) => {
      fleet.killServer();
      await fleet.startServer();
      await work(fleet, 9);
      assert.equal(replacements().length, 0);
      await work(fleet, 4);
      assert.equal(web().assignment?.epoch, 2);
    });
  });

  test("a jump of the server's wall clock replaces nothing", async () => {
    await away(afterTenMinutes, 2, async (fleet) => {
      fleet.wallOffsetMs = 24 * 60 * minuteMs;
      await work(fleet, 5);
      assert.equal(replacements().length, 0);
    });
  });

  test("grants the old node nothing while the decision is being made durable", async () => {
    await away(afterTenMinutes, 9, async (fleet, owner) => {
      const granted: unknown[] = [];
      fleet.watch = (when, written) => {
        const decided = written.some((object) => object.kind === "Instance" && object.assignment?.epoch === 2);
        if (decided && granted.length === 0) granted.push(when, fleet.controllers.delegate.grant(owner.id));
        return false;
      };
      await work(fleet, 4);
      assert.deepEqual(granted, ["before", undefined]);
      assert.equal(web().assignment?.epoch, 2);
      assert.notEqual(fleet.controllers.delegate.grant(owner.id), undefined);
    });
  });

  test("waits for a node to confirm that it would end what it was told to keep", async () => {
    await away("keep", 1, async (fleet, owner) => {
      const { intents } = fleet.controllers;
      await store.transact((tx) => update(tx, intents, web(), { onDisconnect: afterTenMinutes }, fleet.clock.nowMs()));
      await work(fleet, 60);
      assert.deepEqual([replacements().length, owner.runs], [0, true]);
      owner.alive = true;
      await fleet.calm();
      assert.equal(web().assignment?.lease?.confirmed, true);
      owner.alive = false;
      await fleet.unlink(owner);
      await work(fleet, 14);
      assert.deepEqual(
        [web().assignment?.epoch, replacements().every(({ status }) => isOver(status.state))],
        [2, true],
      );
    });
  });
});
