import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { InstanceResource, OperationResource } from "@skerry/model";
import type { Store } from "@skerry/store";
import { begin, fill, isEnded, namesOn, wideZone, workUntil } from "./evacuation-play.ts";
import { useFleet, type FleetSuite } from "./fleet-suite.ts";
import { checkNothingLeaks } from "./leaks.ts";
import type { ModelFleet } from "./model-fleet.ts";
import { act, create, update } from "./zone-fixture.ts";

const web = { app: "web" };
const numbered = (word: string, count: number) => Array.from({ length: count }, (_, number) => `${word}-${number}`);

describe("an evacuation", () => {
  let suite: FleetSuite;
  let store: Store;
  let fleet: ModelFleet;
  useFleet((made) => {
    suite = made;
    ({ store, fleet } = made);
  }, wideZone(6));

  const nowMs = () => fleet.clock.nowMs();
  const moves = (): readonly OperationResource[] =>
    store
      .list("Operation")
      .filter(({ spec }) => spec.type === "instance.migrate")
      .sort((one, other) => (one.metadata.id < other.metadata.id ? -1 : 1));
  const instance = (name: string): InstanceResource =>
    store.get("Instance", { name, project: "shop" }) ?? assert.fail(`no ${name}`);
  const change = (name: string, spec: Partial<InstanceResource["spec"]>) =>
    store.transact((tx) => update(tx, fleet.controllers.intents, instance(name), spec, nowMs()));
  const budget = (maxUnavailable: number) =>
    store.transact((tx) =>
      create(
        tx,
        fleet.controllers.intents,
        "DisruptionBudget",
        { name: "web", project: "shop" },
        { selector: web, maxUnavailable },
        nowMs(),
      ),
    );
  /** How many are on the move, after each commit. */
  const watchMoving = (of: (one: InstanceResource) => boolean = () => true) => {
    const seen = { most: 0 };
    const stop = store.subscribe((events) => {
      if (!events.some(({ kind }) => kind === "Instance")) return;
      const moving = store.list("Instance").filter((one) => of(one) && one.assignment?.movingTo !== undefined);
      seen.most = Math.max(seen.most, moving.length);
    });
    return { seen, stop };
  };

  test("of a node takes all away, no more at once than it was told, and leaves it cordoned", async () => {
    await fill(suite, "mad-1", numbered("a", 7));
    const { seen, stop } = watchMoving();
    const drain = await begin(suite, "Node", "mad-1", { maxParallel: 3 });
    await workUntil(fleet, isEnded(drain), 30);
    stop();
    const { state, result } = drain().status;
    assert.deepEqual([state, result?.["complete"], result?.["moved"], result?.["left"]], ["succeeded", true, 7, []]);
    assert.deepEqual([namesOn(store, "mad-1"), seen.most], [[], 3]);
    assert.equal(store.get("Node", { name: "mad-1" })?.spec.schedulable, false);
    await fleet.calm();
    checkNothingLeaks(fleet);
  });

  test("of a site and of a provider sends nothing to their other nodes", async () => {
    await fill(suite, "mad-1", numbered("a", 2));
    await fill(suite, "mad-2", numbered("b", 2));
    const site = await begin(suite, "Site", "madrid", { maxParallel: 4 });
    await workUntil(fleet, isEnded(site), 30);
    assert.deepEqual([site().status.state, site().status.result?.["moved"]], ["succeeded", 4]);
    const isAt =
      (wanted: string) =>
      ({ assignment }: InstanceResource) =>
        store.getById("Node", assignment?.nodeId ?? "")?.spec.site === wanted;
    assert.equal(store.list("Instance").some(isAt("madrid")), false);
    const provider = await begin(suite, "Provider", "gallia", { maxParallel: 4 });
    await workUntil(fleet, isEnded(provider), 30);
    assert.equal(store.list("Instance").every(isAt("athens")), true);
  });

  test("takes turns between projects", async () => {
    await fill(suite, "mad-1", numbered("a", 5));
    await fill(suite, "mad-1", numbered("z", 2), { project: "lab" });
    const drain = await begin(suite, "Node", "mad-1", { maxParallel: 1 });
    await workUntil(fleet, isEnded(drain), 60);
    const projects = moves().map(({ spec }) => spec.targets[0]?.project);
    assert.deepEqual(projects, ["lab", "shop", "lab", "shop", "shop", "shop", "shop"]);
  });

  test("two at once keep within one budget", async () => {
    await fill(suite, "mad-1", numbered("a", 3), { labels: web });
    await fill(suite, "par-1", numbered("b", 3), { labels: web });
    await fill(suite, "par-1", numbered("c", 2));
    await budget(1);
    const { seen, stop } = watchMoving(({ metadata }) => metadata.labels["app"] === "web");
    const all = watchMoving();
    const one = await begin(suite, "Node", "mad-1", { maxParallel: 4, onBlocked: "skip" });
    const other = await begin(suite, "Node", "par-1", { maxParallel: 4, onBlocked: "skip" });
    await workUntil(fleet, () => isEnded(one)() && isEnded(other)(), 60);
    stop();
    all.stop();
    assert.deepEqual([one().status.result?.["complete"], other().status.result?.["complete"]], [true, true]);
    assert.equal(seen.most, 1, "of those that the budget is for");
    assert.ok(all.seen.most > 1, "the others do not wait for them");
  });

  test("leaves what a budget never lets go, unless it is told not to ask", async () => {
    await fill(suite, "mad-1", numbered("a", 2), { labels: web });
    await budget(0);
    const polite = await begin(suite, "Node", "mad-1", { onBlocked: "skip" });
    await workUntil(fleet, isEnded(polite), 10);
    const left = polite().status.result?.["left"] as readonly { instance: string; why: string }[];
    assert.deepEqual(
      left.map(({ instance: name }) => name),
      ["shop/a-0", "shop/a-1"],
    );
    assert.match(left[0]?.why ?? "", /^The disruption budget shop\/web allows 0 to be down at once, and 0 are\.$/);
    assert.equal(polite().status.result?.["complete"], false);
    const rude = await begin(suite, "Node", "mad-1", { ignoreBudgets: true });
    await workUntil(fleet, isEnded(rude), 10);
    assert.deepEqual(namesOn(store, "mad-1"), []);
  });

  test("counts what is down by itself against its budget, and moves that first of all", async () => {
    await fill(suite, "mad-1", ["a-0", "a-1"], { labels: web });
    await fill(suite, "par-1", ["b-0"], { labels: web });
    await budget(1);
    const paris = fleet.nodes.find(({ name }) => name === "par-1") ?? assert.fail();
    paris.alive = false;
    await fleet.unlink(paris);
    const drain = await begin(suite, "Node", "mad-1", { onBlocked: "skip" });
    await workUntil(fleet, isEnded(drain), 10);
    assert.deepEqual([moves().length, drain().status.result?.["complete"]], [0, false]);
    paris.alive = true;
    const again = await begin(suite, "Node", "mad-1", { onBlocked: "skip" });
    await workUntil(fleet, isEnded(again), 20);
    assert.deepEqual(namesOn(store, "mad-1"), []);
  });

  test("names what can't move with the reason of placement, and goes on with the rest", async () => {
    await fill(suite, "mad-1", ["pinned"], { stays: true });
    await fill(suite, "mad-1", numbered("a", 3));
    const drain = await begin(suite, "Node", "mad-1", { onBlocked: "skip", maxParallel: 1 });
    await workUntil(fleet, isEnded(drain), 20);
    const { state, result } = drain().status;
    assert.deepEqual([state, result?.["moved"], namesOn(store, "mad-1")], ["succeeded", 3, ["pinned"]]);
    assert.match(JSON.stringify(result?.["left"]), /shop\/pinned.*No node fits: .*node: 20 of 21 nodes are not mad-1/);
  });

  test("waits for what can't move where it is told to, says so, and takes it away once it can", async () => {
    await fill(suite, "mad-1", ["pinned"], { stays: true });
    const drain = await begin(suite, "Node", "mad-1");
    const isTold = () => /1 held up, such as shop\/pinned: No node fits/.test(drain().status.steps[1]?.message ?? "");
    await workUntil(fleet, isTold, 5);
    await change("pinned", { placement: { nodes: ["mad-1", "ath-1"] } });
    await workUntil(fleet, isEnded(drain), 5);
    assert.deepEqual([instance("pinned").assignment?.node, drain().status.state], ["ath-1", "succeeded"]);
  });

  test("is not held up by nodes that hang, nor by moves that fail for ever", async () => {
    const names = numbered("a", 8);
    await fill(suite, "mad-1", names);
    // Two of twenty-one report and do nothing; another one's guests never become healthy.
    const hung = new Set(["mad-2", "par-3"]);
    for (const node of fleet.nodes) if (node.name === "ath-4") node.sick = true;
    // All would go there first: the others are fuller.
    const others = fleet.nodes.map(({ name }) => name).filter((name) => !hung.has(name) && name !== "ath-4");
    for (const [at, name] of others.entries()) if (name !== "mad-1") await fill(suite, name, [`x-${at}`]);
    const drain = await begin(suite, "Node", "mad-1", { maxParallel: 2 });
    const startMs = nowMs();
    const stuck = () => moves().filter(({ spec }) => hung.has((spec.input["to"] as { node: string }).node));
    const settled = () => names.filter((name) => instance(name).assignment?.node !== "mad-1" || isMovingAway(name));
    const isMovingAway = (name: string) => stuck().some(({ spec }) => spec.targets[0]?.name === name);
    await workUntil(fleet, () => settled().length >= 7 && nowMs() - startMs > 60_000, 20, hung, 30_000);
    assert.ok(stuck().length > 0 && stuck().length <= 2, `${stuck().length} went to nodes that hang`);
    await workUntil(fleet, isEnded(drain), 60, hung, 30_000);
    assert.deepEqual([drain().status.state, namesOn(store, "mad-1")], ["succeeded", []]);
    const at = (set: (name: string) => boolean) => names.filter((name) => set(instance(name).assignment?.node ?? ""));
    assert.deepEqual([at((node) => hung.has(node)), at((node) => node === "ath-4")], [[], []]);
    assert.ok(names.every((name) => instance(name).status.health === "healthy"));
  });

  const lose = async (name: string): Promise<void> => {
    const node = fleet.nodes.find((one) => one.name === name) ?? assert.fail();
    node.alive = false;
    await fleet.unlink(node);
  };

  test("of a node that is away moves nothing, so that leases have their way, and names what stays there", async () => {
    await fill(suite, "mad-1", ["kept", "leased"]);
    await change("leased", { onDisconnect: { replaceAfterSeconds: 300 } });
    await fleet.calm();
    await lose("mad-1");
    const drain = await begin(suite, "Node", "mad-1", { onBlocked: "skip" });
    await workUntil(fleet, isEnded(drain), 20);
    assert.deepEqual([moves().length, namesOn(store, "mad-1")], [0, ["kept"]]);
    const told = JSON.stringify(drain().status.result?.["left"]);
    assert.match(told, /^\[[^,]*kept[^,]*,[^\]]*mad-1, where it is, is not connected\."\}\]$/);
  });

  test("takes back what waits for a source that went away before it was stopped, which is then replaced", async () => {
    await fill(suite, "mad-1", ["leased"]);
    await change("leased", { onDisconnect: { replaceAfterSeconds: 60 } });
    await fleet.calm();
    const drain = await begin(suite, "Node", "mad-1");
    const stop = store.subscribe((events) => {
      if (events.some(({ object }) => object.kind === "Operation" && object.spec.type === "instance.migrate")) {
        stop();
        fleet.killServer();
      }
    });
    await workUntil(fleet, () => moves().length > 0, 1);
    await lose("mad-1");
    await fleet.startServer();
    await workUntil(fleet, () => /waits for mad-1/.test(moves()[0]?.status.steps[0]?.message ?? ""), 1);
    await workUntil(fleet, isEnded(drain), 15);
    assert.deepEqual([namesOn(store, "mad-1"), moves()[0]?.status.state], [[], "cancelled"]);
  });

  test("does not wait for ever for an instance that its owner starts again and again", async () => {
    await fill(suite, "mad-1", ["a"]);
    for (const node of fleet.nodes) node.sick = node.name === "mad-1";
    const reboot = () =>
      store.transact((tx) => act(tx, fleet.controllers.intents, instance("a"), "reboot", {}, nowMs()));
    let watch = (await reboot()).result.operation;
    const drain = await begin(suite, "Node", "mad-1");
    const startMs = nowMs();
    while (moves().length === 0 && nowMs() < startMs + 15 * 60_000) {
      watch = (await reboot()).result.operation;
      let rounds = 0;
      await workUntil(fleet, () => rounds++ > 0, 5, new Set(), 10_000);
    }
    assert.ok(nowMs() - startMs > 3 * 60_000, "it had its time");
    assert.equal(store.getById("Operation", watch?.metadata.id ?? "")?.status.state, "cancelled");
    await workUntil(fleet, isEnded(drain), 15);
    assert.deepEqual([namesOn(store, "mad-1"), moves()[0]?.status.state], [[], "succeeded"]);
  });

  test("cancelled, brings home what is on the move, lifts its cordon and leaves the rest where it is", async () => {
    await fill(suite, "mad-1", numbered("a", 6));
    const drain = await begin(suite, "Node", "mad-1", { maxParallel: 2 });
    await workUntil(fleet, () => (drain().status.steps[1]?.done ?? 0) >= 2, 30);
    await store.transact((tx) => act(tx, fleet.controllers.intents, drain(), "cancel", {}, nowMs()));
    await workUntil(fleet, isEnded(drain), 30);
    const left = namesOn(store, "mad-1").length;
    assert.equal(drain().status.state, "cancelled");
    assert.ok(moves().some(({ status }) => status.state === "cancelled"));
    assert.ok(left >= 2 && left <= 4, `${left} are left`);
    assert.equal(store.get("Node", { name: "mad-1" })?.spec.schedulable, undefined);
    await fleet.calm();
    checkNothingLeaks(fleet);
    assert.ok(store.list("Instance").every(({ status }) => status.health === "healthy"));
  });

  test("ends where somebody uncordons meanwhile; a cordon that was there before stays after a cancel", async () => {
    await fill(suite, "mad-1", ["pinned"], { stays: true });
    const drain = await begin(suite, "Node", "mad-1");
    await workUntil(fleet, () => drain().status.steps[1]?.message !== undefined, 5);
    const set = (schedulable: boolean) =>
      store.transact((tx) => {
        const node = tx.get("Node", { name: "mad-1" }) ?? assert.fail();
        update(tx, fleet.controllers.intents, node, { schedulable }, nowMs());
      });
    await set(true);
    await workUntil(fleet, isEnded(drain), 5);
    assert.deepEqual([drain().status.state, drain().status.problem?.code], ["failed", "conflict"]);
    assert.match(drain().status.problem?.detail ?? "", /mad-1 was uncordoned/);
    await set(false);
    const again = await begin(suite, "Node", "mad-1");
    await workUntil(fleet, () => again().status.steps[1]?.message !== undefined, 5);
    await store.transact((tx) => act(tx, fleet.controllers.intents, again(), "cancel", {}, nowMs()));
    await workUntil(fleet, isEnded(again), 5);
    assert.equal(store.get("Node", { name: "mad-1" })?.spec.schedulable, false);
  });

  test("goes on after the server was killed, and counts each move once", async () => {
    await fill(suite, "mad-1", numbered("a", 6));
    const drain = await begin(suite, "Node", "mad-1", { maxParallel: 2 });
    for (const remaining of [4, 2]) {
      await workUntil(fleet, () => namesOn(store, "mad-1").length <= remaining, 30);
      fleet.killServer();
      await fleet.startServer();
    }
    await workUntil(fleet, isEnded(drain), 30);
    assert.deepEqual([drain().status.result?.["moved"], moves().length], [6, 6]);
  });
});
