import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { MoveForecast, RebalanceProposals } from "@skerry/model";
import { startApi, type ApiHarness } from "../api/api-harness.ts";
import { Allocation } from "../../src/controllers/allocation.ts";
import { Fleet } from "../../src/controllers/fleet.ts";
import { fill, wideZone } from "./evacuation-play.ts";
import { ModelFleet } from "./model-fleet.ts";
import { create } from "./zone-fixture.ts";

describe("the plan of an evacuation", () => {
  let api: ApiHarness;
  let fleet: ModelFleet;
  const suite = () => ({ store: api.store, fleet });

  before(async () => {
    let wide: Promise<void> | undefined;
    api = await startApi(({ store }) => {
      fleet = new ModelFleet(store);
      wide = fleet.startServer();
      return {
        intents: fleet.controllers.intents,
        rebalancing: {
          propose: (tx, wish) => fleet.controllers.rebalancing.propose(tx, wish),
          begin: () => assert.fail(),
        },
        freshen: (resource) => fleet.controllers.freshen(resource),
      };
    });
    await wide;
    await wideZone(1)(suite());
    await fill(suite(), "mad-1", ["a-0", "a-1", "a-2"]);
    await fill(suite(), "mad-1", ["guarded"], { labels: { app: "web" } });
    await fill(suite(), "mad-1", ["pinned"], { project: "lab", stays: true });
    await api.store.transact((tx) =>
      create(
        tx,
        fleet.controllers.intents,
        "DisruptionBudget",
        { name: "web", project: "shop" },
        { selector: { app: "web" }, maxUnavailable: 0 },
        fleet.clock.nowMs(),
      ),
    );
  });
  after(async () => {
    fleet.killServer();
    await api[Symbol.asyncDispose]();
  });

  const plan = async (token: string, input: object = {}): Promise<MoveForecast> => {
    const { revision } = api.store;
    const answer = await api.ask(token, "POST", "/api/v1/nodes/mad-1:drain?dryRun=true", input);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(api.store.revision, revision, "nothing is changed");
    assert.match(answer.text, /"path":"\/spec\/schedulable"/);
    return (JSON.parse(answer.text) as { readonly moves: MoveForecast }).moves;
  };

  const tokenOf = async (name: string): Promise<string> => {
    const spec = { owner: { kind: "User" as const, name } };
    const { result } = await api.store.transact((tx) =>
      create(tx, fleet.controllers.intents, "ApiToken", { name }, spec, fleet.clock.nowMs()),
    );
    return result.secret ?? assert.fail();
  };

  test("says what would go where, as if each took its room, what is held up by what, and how many bytes", async () => {
    const { moves, blocked, bytes, experience } = await plan(api.admin);
    assert.deepEqual(
      moves.map(({ instance, from }) => [instance, from]),
      ["a-0", "a-1", "a-2"].map((name) => [name, "mad-1"]),
    );
    assert.equal(new Set(moves.map(({ to }) => to)).size, 3, "spread over what is emptiest");
    assert.deepEqual([bytes, experience], [3 * 64 * 1024 * 1024, 0]);
    assert.deepEqual(
      blocked.map(({ project, instance, code }) => [project, instance, code]),
      [
        ["lab", "pinned", "no-placement"],
        ["shop", "guarded", "disruption-budget"],
      ],
    );
    assert.match(blocked[0]?.why ?? "", /No node fits: .*are not mad-1/);
    assert.equal((await plan(api.admin, { ignoreBudgets: true })).moves.length, 4);
  });

  test("names nothing that whoever asks may not see", async () => {
    await api.store.transact((tx) => {
      const provider = { role: "provider", provider: "iberica", subjects: [{ kind: "User" as const, name: "pia" }] };
      create(tx, fleet.controllers.intents, "User", { name: "pia" }, {}, fleet.clock.nowMs());
      create(tx, fleet.controllers.intents, "RoleBinding", { name: "pia" }, provider, fleet.clock.nowMs());
    });
    const { moves, blocked, hidden, bytes } = await plan(await tokenOf("pia"));
    assert.deepEqual([moves, blocked, hidden, bytes], [[], [], 5, 0]);
  });

  test("nor do proposals of a rebalancing, and who may not act on every node gets none", async () => {
    const rebalance = (token: string) =>
      api.ask(token, "POST", "/api/v1/placement/rebalance?dryRun=true", { objective: "balance" });
    const told = await rebalance(api.admin);
    assert.equal(told.status, 200, told.text);
    assert.ok(Number(told.at("proposals.moves.length")) > 0);
    assert.equal((await rebalance(await api.token("op", "operator"))).status, 403);
    await api.store.transact((tx) => {
      const policies = 'permit (principal, action == Skerry::Action::"act", resource is Skerry::Node);';
      const binding = { role: "mover", subjects: [{ kind: "User" as const, name: "moa" }] };
      const nowMs = fleet.clock.nowMs();
      create(tx, fleet.controllers.intents, "Role", { name: "mover" }, { policies }, nowMs);
      create(tx, fleet.controllers.intents, "User", { name: "moa" }, {}, nowMs);
      create(tx, fleet.controllers.intents, "RoleBinding", { name: "moa" }, binding, nowMs);
    });
    const { proposals } = JSON.parse((await rebalance(await tokenOf("moa"))).text) as {
      readonly proposals: RebalanceProposals;
    };
    assert.deepEqual([proposals.moves, proposals.hidden], [[], Number(told.at("proposals.moves.length"))]);
  });

  test("each next decision of a transaction that cordons has what the ones before took", () => {
    const allocation = new Allocation(api.store);
    const nodes = new Fleet(api.store, allocation);
    api.store.rehearse((tx) => {
      const node = tx.get("Node", { name: "mad-1" }) ?? assert.fail();
      tx.put({ ...node, spec: { ...node.spec, schedulable: false } });
      const used = () => nodes.placerIn(tx).fleet.named("par-1")?.used;
      const free = used();
      const instance = tx.get("Instance", { name: "a-0", project: "shop" }) ?? assert.fail();
      const { assignment = assert.fail() } = instance;
      const { id } = (tx.get("Node", { name: "par-1" }) ?? assert.fail()).metadata;
      const moved = tx.put({ ...instance, assignment: { ...assignment, movingTo: { node: "par-1", nodeId: id } } });
      assert.equal(used()?.vcpus, (free?.vcpus ?? 0) + instance.spec.vcpus);
      tx.put({ ...moved, assignment });
      assert.deepEqual(used(), free);
      assert.equal(nodes.placerIn(tx).fleet.named("mad-1")?.schedulable, false);
      assert.equal(nodes.placerIn(tx), nodes.placerIn(tx), "laid out once");
    });
    nodes.close();
    allocation.close();
  });

  test("a budget tells how many it is for, and how many more may be down", async () => {
    const answer = await api.ask(api.admin, "GET", "/api/v1/projects/shop/disruption-budgets/web");
    assert.deepEqual(answer.at("status"), { instances: 1, unavailable: 0, allowed: 0 });
  });
});
