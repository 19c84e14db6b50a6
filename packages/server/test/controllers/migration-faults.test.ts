import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import type { Store } from "@skerry/store";
import {
  holdStopped,
  migrationOf,
  offerVolume,
  orderImport,
  orderImportAway,
  switchBack,
  switchOwner,
} from "../../src/operations/kinds/migration-orders.ts";
import { isOver } from "../../src/operations/transitions.ts";
import { empty, useScratchStore } from "../fakes/scratch-store.ts";
import { ask, instanceOf, playMigration, settleIn, type Incident } from "./migration-scenario.ts";
import { ModelFleet } from "./model-fleet.ts";

/* Each of these guards is behind another one, so that chance alone seldom comes to it. */
describe("a cold migration's second guards", () => {
  let store: Store;
  let fleet: ModelFleet;
  useScratchStore((opened) => (store = opened));
  beforeEach(async () => {
    await empty(store);
    fleet = new ModelFleet(store);
  });

  const volume = () => store.get("Volume", { project: "shop", name: "web" });
  const work = (...nodes: readonly (0 | 1)[]): Incident[] => nodes.map((node) => ({ kind: "work", node }));
  const on = (node: 0 | 1, ...kinds: readonly ("deliver" | "report")[]): Incident[] =>
    kinds.map((kind) => ({ kind, node }));
  const begun = async () => {
    const nodes = await settleIn(fleet, true);
    const operation = await ask(fleet);
    fleet.killServer();
    return { nodes, migration: migrationOf(operation) };
  };

  test("let the source forget neither disk nor guest before it was seen without them, though it knows that they must go", async () => {
    const incidents = [...work(0, 0, 0, 1, 1), ...on(0, "deliver", "report")];
    const { state, owner } = await playMigration(store, { incidents, running: true, sickTarget: false });
    assert.deepEqual([state, owner], ["succeeded", 1]);
  });

  test("do not take a report from before the order to remove a copy for the word that it is gone", async () => {
    const incidents: Incident[] = [...work(0, 0, 0), ...on(1, "deliver"), { kind: "cancel" }, ...on(1, "report")];
    const begins: Incident = { kind: "act", node: 1, pick: 0 };
    const scenario = { incidents: [...incidents, begins], running: true, sickTarget: false };
    const { state, owner } = await playMigration(store, scenario);
    assert.deepEqual([state, owner], ["cancelled", 0]);
  });

  test("go back to the source where the target's bytes are not the source's", async () => {
    const { nodes } = { nodes: await settleIn(fleet, true) };
    nodes[1].garbles = true;
    const operation = await ask(fleet);
    const current = () => store.getById("Operation", operation.metadata.id);
    for (let ticks = 0; ticks < 100 && !isOver(current()?.status.state ?? "failed"); ticks++) {
      await fleet.calm();
      await fleet.tick(15_000);
    }
    await fleet.calm();
    assert.equal(current()?.status.problem?.code, "digest-mismatch");
    assert.deepEqual([nodes[0].runs, nodes[1].disks.size, nodes[1].guests.size], [true, 0, 0]);
    fleet.killServer();
  });

  test("leave the instance with a target that is not well where the source has lost its disk", async () => {
    const nodes = await settleIn(fleet, true);
    nodes[1].sick = true;
    const operation = await ask(fleet);
    const current = () => store.getById("Operation", operation.metadata.id);
    for (let ticks = 0; ticks < 400 && !isOver(current()?.status.state ?? "failed"); ticks++) {
      await fleet.calm();
      if (nodes[1].runs) nodes[0].disks.clear();
      await fleet.tick(15_000);
    }
    await fleet.calm();
    assert.equal(current()?.status.state, "failed");
    assert.equal(instanceOf(store).assignment?.nodeId, nodes[1].id);
    assert.deepEqual([nodes[1].runs, nodes[1].disks.size], [true, 1]);
    fleet.killServer();
  });

  test("name no new owner that has no copy, or while the instance is not held", async () => {
    const { migration } = await begun();
    const refused = (message: string) =>
      assert.rejects(
        store.transact((tx) => switchOwner(tx, migration, 0)),
        { code: "conflict" },
        message,
      );
    await refused("neither held nor copied");
    await store.transact((tx) => holdStopped(tx, migration));
    await refused("not copied");
    await store.transact((tx) => {
      offerVolume(tx, migration, "ticket");
      orderImport(tx, migration);
    });
    await assert.rejects(
      store.transact((tx) => switchOwner(tx, { ...migration, operationId: "another" }, 0)),
      { code: "conflict" },
      "held by another",
    );
    const stranger = { node: "elsewhere", nodeId: "nod_elsewhere" };
    await assert.rejects(
      store.transact((tx) => switchOwner(tx, { ...migration, from: stranger }, 0)),
      { code: "conflict" },
      "owned by another",
    );
    await store.transact((tx) => switchOwner(tx, migration, 0));
    assert.equal(instanceOf(store).assignment?.nodeId, migration.to.nodeId);
  });

  test("give the source nothing back before the target was seen stopped at this very epoch", async () => {
    const { migration } = await begun();
    await store.transact((tx) => {
      holdStopped(tx, migration);
      offerVolume(tx, migration, "ticket");
      orderImport(tx, migration);
      switchOwner(tx, migration, 0);
    });
    const { epoch } = instanceOf(store).assignment ?? { epoch: 0 };
    const back = (stoppedEpoch: unknown) => store.transact((tx) => switchBack(tx, migration, stoppedEpoch, 0));
    await assert.rejects(back(epoch), { code: "node-disconnected" }, "not held");
    await store.transact((tx) => holdStopped(tx, migration));
    await assert.rejects(back(undefined), { code: "node-disconnected" }, "not seen stopped");
    await assert.rejects(back(epoch - 1), { code: "node-disconnected" }, "seen stopped before");
    await back(epoch);
    assert.deepEqual(
      [instanceOf(store).assignment?.epoch, volume()?.assignment?.epoch, instanceOf(store).assignment?.nodeId],
      [epoch + 1, epoch + 1, migration.from.nodeId],
    );
  });

  test("copy nothing over a copy that must go, and give no epoch twice", async () => {
    const { migration } = await begun();
    const { result: first } = await store.transact((tx) => orderImport(tx, migration));
    await store.transact((tx) => orderImportAway(tx, migration));
    await assert.rejects(
      store.transact((tx) => orderImport(tx, migration)),
      { code: "conflict" },
    );
    await store.transact((tx) => {
      const stored = tx.getById("Volume", migration.volumeId);
      if (stored?.assignment !== undefined) tx.put({ ...stored, assignment: { ...stored.assignment, copies: [] } });
    });
    const { result: second } = await store.transact((tx) => orderImport(tx, migration));
    const epochs = [first, volume()?.assignment?.epoch ?? 0, second];
    assert.deepEqual(
      epochs,
      [...new Set(epochs)].sort((one, other) => one - other),
      "each epoch once, and rising",
    );
  });
});
