import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { RebalanceProposals } from "@skerry/model";
import type { Store } from "@skerry/store";
import { fill, isEnded, namesOn, wideZone, workUntil } from "./evacuation-play.ts";
import { useFleet, type FleetSuite } from "./fleet-suite.ts";
import { checkNothingLeaks } from "./leaks.ts";
import type { ModelFleet } from "./model-fleet.ts";
import { act, create, update } from "./zone-fixture.ts";

describe("rebalancing", () => {
  let suite: FleetSuite;
  let store: Store;
  let fleet: ModelFleet;
  useFleet((made) => {
    suite = made;
    ({ store, fleet } = made);
  }, wideZone(1));

  const wish = { objective: "balance", maxMoves: 20, maxParallel: 2, ignoreBudgets: false } as const;
  const propose = (objective: RebalanceProposals["objective"] = "balance", maxMoves = 20): RebalanceProposals =>
    store.rehearse((tx) => fleet.controllers.rebalancing.propose(tx, { objective, maxMoves })).result;
  const begin = async (objective: RebalanceProposals["objective"] = "balance") => {
    const { result } = await store.transact((tx) =>
      fleet.controllers.rebalancing.begin(tx, { ...wish, objective }, { actor: "test", cause: "test" }),
    );
    const id = result.operation?.metadata.id ?? assert.fail("nothing is to be gained");
    return { proposals: result.proposals, operation: () => store.getById("Operation", id) ?? assert.fail() };
  };

  test("proposes what evens out nodes, with gain and bytes, and changes nothing by that", async () => {
    await fill(suite, "mad-1", ["a-0", "a-1", "a-2", "a-3"]);
    const { revision } = store;
    const { moves, before, after, bytes, lookedAt } = propose();
    assert.equal(store.revision, revision);
    assert.deepEqual([moves.length, lookedAt, bytes], [3, 4, 3 * 64 * 1024 * 1024]);
    assert.ok(after < before && moves.every(({ from, to, gain }) => from === "mad-1" && to !== from && gain > 0));
    assert.equal(propose("balance", 1).moves.length, 1);
  });

  test("carries them out, and finds nothing more to gain then", async () => {
    await fill(suite, "mad-1", ["a-0", "a-1", "a-2", "a-3"]);
    const { operation, proposals } = await begin();
    await workUntil(fleet, isEnded(operation), 30);
    const { state, result } = operation().status;
    assert.deepEqual([state, result?.["moved"], result?.["complete"]], ["succeeded", 3, true]);
    for (const { instance, to } of proposals.moves) assert.ok(namesOn(store, to).includes(instance), instance);
    assert.deepEqual(propose().moves, []);
    await fleet.calm();
    checkNothingLeaks(fleet);
  });

  test("goes where it is cheaper, where instances may go there, and leaves what can't go any more", async () => {
    await fill(suite, "mad-1", ["free", "late"]);
    await fill(suite, "mad-1", ["pinned"], { stays: true });
    const price = (site: string, eurosPerVcpuHour: number) =>
      store.transact((tx) => {
        const found = tx.get("Site", { name: site }) ?? assert.fail();
        return update(tx, fleet.controllers.intents, found, { eurosPerVcpuHour }, fleet.clock.nowMs());
      });
    await price("madrid", 0.1);
    await price("paris", 0.02);
    const gains = new Map(propose("price").moves.map(({ instance, gain }) => [instance, Number(gain.toFixed(6))]));
    assert.deepEqual([gains.size, gains.get("free"), gains.get("late")], [2, 0.08, 0.08]);
    // Its owner ties one to where it is, after it was found and before its move.
    const { result } = await store.transact((tx) => {
      const begun = fleet.controllers.rebalancing.begin(
        tx,
        { ...wish, objective: "price" },
        { actor: "test", cause: "test" },
      );
      const late = tx.get("Instance", { name: "late", project: "shop" }) ?? assert.fail();
      update(tx, fleet.controllers.intents, late, { placement: { nodes: ["mad-1"] } }, fleet.clock.nowMs());
      return begun.operation?.metadata.id ?? assert.fail();
    });
    const operation = () => store.getById("Operation", result) ?? assert.fail();
    await workUntil(fleet, isEnded(operation), 30);
    assert.deepEqual([operation().status.state, operation().status.result?.["moved"]], ["succeeded", 1]);
    assert.match(JSON.stringify(operation().status.result?.["left"]), /shop\/late.*1 node is not mad-1/);
    assert.deepEqual(namesOn(store, "mad-1"), ["late", "pinned"]);
    assert.equal(store.get("Instance", { name: "free", project: "shop" })?.status.site, "paris");
  });

  test("leaves where it is what must be beside or apart from others, of whoever asks for it", async () => {
    await fill(suite, "mad-1", ["a-0", "a-1", "a-2", "a-3"], { labels: { app: "db" } });
    assert.equal(propose().moves.length, 3);
    const affinity = [{ relation: "with", by: "node", labels: { app: "db" } }] as const;
    await store.transact((tx) => {
      for (const { metadata } of store.list("Instance", "shop").filter(({ metadata: { name } }) => name !== "a-3")) {
        const found = tx.getById("Instance", metadata.id) ?? assert.fail();
        tx.put({ ...found, spec: { ...found.spec, placement: { affinity: [...affinity] } } });
      }
    });
    assert.deepEqual(
      propose().moves.map(({ instance }) => instance),
      ["a-3"],
    );
    const apart = [{ relation: "apart", by: "node", labels: { app: "db" } }] as const;
    await store.transact((tx) => {
      const found = tx.get("Instance", { name: "a-0", project: "shop" }) ?? assert.fail();
      tx.put({ ...found, spec: { ...found.spec, placement: { affinity: [...apart] } } });
    });
    assert.deepEqual(propose().moves, [], "one asks that all others be apart from it");
  });

  test("empties nodes, asks budgets, and there is one at a time", async () => {
    await fill(suite, "mad-1", ["a-0"], { labels: { app: "web" } });
    await fill(suite, "par-1", ["b-0", "b-1"]);
    await store.transact((tx) =>
      create(
        tx,
        fleet.controllers.intents,
        "DisruptionBudget",
        { name: "web", project: "shop" },
        { selector: { app: "web" }, maxUnavailable: 0 },
        fleet.clock.nowMs(),
      ),
    );
    assert.deepEqual(
      propose("consolidation").moves.map(({ instance, to, gain }) => [instance, to, gain]),
      [["a-0", "par-1", 1]],
    );
    const { operation } = await begin("consolidation");
    await assert.rejects(begin("consolidation"), { code: "busy" });
    await workUntil(fleet, isEnded(operation), 30);
    assert.deepEqual(
      [operation().status.result?.["complete"], operation().status.result?.["moved"], namesOn(store, "mad-1")],
      [false, 0, ["a-0"]],
    );
    const cancelled = await begin("consolidation");
    await store.transact((tx) =>
      act(tx, fleet.controllers.intents, cancelled.operation(), "cancel", {}, fleet.clock.nowMs()),
    );
    await workUntil(fleet, isEnded(cancelled.operation), 30);
    assert.equal(cancelled.operation().status.state, "cancelled");
  });
});
