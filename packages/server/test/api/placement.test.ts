import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { PlacementExplanation } from "@skerry/model";
import { explainDecision, type Explanation } from "@skerry/placement";
import { Rights } from "../../src/authorisation/rights.ts";
import { simulatePlacement, type SimulationDeps } from "../../src/controllers/explaining/simulation.ts";
import { requestOf } from "../../src/controllers/placing.ts";
import { nodeFacts } from "../controllers/zone-fixture.ts";
import { openPlacementZone, spec, type PlacementZone } from "./placement-zone.ts";

describe("why instances are where they are, over the API", { timeout: 120_000 }, () => {
  let zone: PlacementZone;
  const likeShown = (text: Explanation): unknown =>
    JSON.parse(
      JSON.stringify({ ...text, changes: text.changes.map(({ request: _asked, ...change }) => change) }),
    ) as unknown;
  const withoutSpec = (shown: NonNullable<PlacementExplanation["decided"]["explanation"]>): unknown => ({
    ...shown,
    changes: shown.changes.map(({ spec: _said, ...change }) => change),
  });

  before(async () => {
    zone = await openPlacementZone();
  });
  after(() => zone[Symbol.asyncDispose]());

  test("the decision is explained as it was made, whatever has become of the nodes since, and apart from it as it would be now", async () => {
    const placement = { maxLatency: [{ from: "Madrid", milliseconds: 12 }], weights: { carbon: 1, spread: 0.5 } };
    // What the engine itself says just before.
    const { placer } = zone.controllers.fleet.snapshot();
    const made = await zone.put("web", { placement });
    assert.equal(made.assignment?.node, "mad-1");
    const expected = explainDecision(placer, requestOf(zone.api.store, { ...made, assignment: undefined as never }));
    const first = await zone.explain("web");
    assert.equal(first.decided.told, "replayed", first.decided.why);
    assert.ok(first.decided.explanation !== undefined);
    assert.deepEqual(withoutSpec(first.decided.explanation), likeShown(expected));
    assert.deepEqual(first.now.stays, true);
    assert.match(
      first.decided.explanation.changes[0]?.sentence ?? "",
      /ms instead of 12 ms from Madrid saves 67 % carbon/,
    );

    // Others come, a node closes, a site gets dirtier, another cleaner.
    for (const name of ["a", "b", "c"]) await zone.put(name, { memoryMiB: 512 });
    for (const [path, change] of [
      ["/nodes/mad-1", { schedulable: false }],
      ["/sites/paris", { carbonGramsPerKWh: 900 }],
    ] as const)
      assert.equal((await zone.ask("PATCH", path, { spec: change })).status, 200);
    const later = await zone.explain("web");
    assert.equal(later.decided.told, "replayed", later.decided.why);
    assert.deepEqual(later.decided.explanation, first.decided.explanation);
    assert.equal(later.now.stays, false);
    assert.equal(later.now.explanation.chosen?.node, "mad-2");
    assert.ok(later.now.explanation.refusals.some(({ reason, nodes }) => reason === "unschedulable" && nodes === 1));
    assert.ok(later.now.revision > (later.decided.decision?.revision ?? Infinity));
    assert.equal(later.now.explanation.changes.length, 0, "Paris is no better any more");
    for (const [path, change] of [
      ["/nodes/mad-1", { schedulable: true }],
      ["/sites/paris", { carbonGramsPerKWh: 50 }],
    ] as const)
      assert.equal((await zone.ask("PATCH", path, { spec: change })).status, 200);

    // Who begins anew knows no past, and does not make one up.
    const anew = await zone.byAnother(() => zone.explain("web"));
    assert.equal(anew.decided.told, "kept");
    assert.match(anew.decided.why, /no longer known/);
    assert.equal(anew.decided.explanation, undefined);
    assert.deepEqual(anew.decided.decision, first.decided.decision);
    assert.equal(anew.decided.decision?.parts.carbon, 0.3);
    assert.equal(anew.now.stays, true);
  });

  test("a replay that comes out otherwise than what was kept is not told", async () => {
    const made = await zone.put("odd", { placement: { weights: { carbon: 1 } } });
    assert.equal((await zone.explain("odd")).decided.told, "replayed");
    const { assignment } = made;
    assert.ok(assignment?.decision !== undefined);
    const decision = { ...assignment.decision, parts: { carbon: 0.11 } };
    await zone.api.store.transact((tx) => tx.put({ ...made, assignment: { ...assignment, decision } }));
    const { decided, now } = await zone.explain("odd");
    assert.deepEqual([decided.told, decided.explanation], ["kept", undefined]);
    assert.match(decided.why, /would come out otherwise/);
    assert.equal(now.explanation.chosen?.parts.carbon, 0.1);
  });

  test("what would change a decision does, asked of the engine as the explanation says it", async () => {
    const wishes = [
      { countries: ["ES", "GR"], weights: { carbon: 1 } },
      { sites: ["athens"], weights: { carbon: 1 } },
      { maxLatency: [{ from: "Athens", milliseconds: 30 }], weights: { carbon: 1 } },
      { labels: { disk: "ssd" }, weights: { carbon: 1 } },
    ];
    let changes = 0;
    for (const [index, placement] of wishes.entries()) {
      await zone.put(`what-${index}`, { placement });
      const { now } = await zone.explain(`what-${index}`);
      for (const { spec: fields, node, sentence } of now.explanation.changes) {
        changes++;
        const request = { name: "try", project: "shop", vcpus: 1, memoryMiB: 128, diskMiB: 64, ...fields };
        const { placements } = await zone.simulate({ requests: [request] });
        assert.equal(placements[0]?.now.choice?.node, node, sentence);
      }
    }
    assert.equal(changes, wishes.length);
  });

  test("a refused create says how many nodes fail what, and what would change it, which then does", async () => {
    const placement = { countries: ["GR"], maxLatency: [{ from: "Madrid", milliseconds: 20 }] };
    const refused = await zone.ask("PUT", "/projects/shop/instances/no", { spec: { ...spec, placement } });
    assert.equal(refused.status, 422);
    const told = refused
      .each("facts.refusals", "reason")
      .map((reason, index) => [
        reason,
        refused.at(`facts.refusals.${index}.nodes`),
        refused.at(`facts.refusals.${index}.nearest.value`),
      ]);
    assert.deepEqual(
      told.map(([reason, nodes]) => [reason, nodes]),
      [
        ["country", 3],
        ["latency", 1],
      ],
    );
    assert.match(refused.textAt("remedy"), /^Any one of these would do: allow country ES \(opens 2\)/);
    const ms = Number(told[1]?.[2]);
    const wider = { ...placement, maxLatency: [{ from: "Madrid", milliseconds: ms }] };
    assert.equal((await zone.put("no", { placement: wider })).assignment?.node, "ath-1");
    const less = { ...placement, maxLatency: [{ from: "Madrid", milliseconds: ms - 0.01 }] };
    assert.equal(
      (await zone.ask("PUT", "/projects/shop/instances/nono", { spec: { ...spec, placement: less } })).status,
      422,
    );
  });

  test("what is simulated happens when it is done: creates beside each other, and sites as they would be", async () => {
    const asked = {
      project: "shop",
      vcpus: 1,
      memoryMiB: 128,
      diskMiB: 64,
      placement: { weights: { carbon: 1, spread: 1 } },
    };
    const { placements, revision } = await zone.simulate({ requests: [{ ...asked, name: "row", count: 6 }] });
    assert.equal(revision, zone.api.store.revision);
    const nodes: unknown[] = [];
    for (let serial = 1; serial <= 6; serial++)
      nodes.push((await zone.put(`row-${serial}`, { placement: asked.placement })).assignment?.node);
    assert.deepEqual(
      placements.map(({ now }) => now.choice?.node),
      nodes,
    );
    assert.ok(new Set(nodes).size > 1, nodes.join());
    assert.ok(placements.every(({ name }, index) => name === `row-${index + 1}`));

    const clean = { weights: { carbon: 1 } };
    const changes = [{ site: { name: "athens", carbonGramsPerKWh: 1 } }, { without: { site: "paris" } }];
    const one = { ...asked, name: "clean", placement: clean };
    const both = await zone.simulate({ requests: [one], changes });
    assert.deepEqual(both.changes, [
      { sentence: "site athens with carbonGramsPerKWh 1", nodes: 1 },
      { sentence: "without site paris", nodes: 1 },
    ]);
    assert.deepEqual(both.nodes, { now: 4, changed: 3 });
    const [{ now, changed, effect } = assert.fail()] = both.placements;
    assert.deepEqual([now.choice?.node, changed.choice?.node, effect], ["par-1", "ath-1", "elsewhere"]);
    assert.equal((await zone.ask("PATCH", "/sites/athens", { spec: { carbonGramsPerKWh: 1 } })).status, 200);
    assert.equal((await zone.put("clean", { placement: clean })).assignment?.node, "ath-1");
    assert.equal((await zone.ask("PATCH", "/sites/athens", { spec: { carbonGramsPerKWh: 400 } })).status, 200);
  });

  test("instances that are there are placed anew, also all those that lose their node; ten more nodes have room", async () => {
    const there = zone.api.store.list("Instance").filter(({ assignment }) => assignment?.node === "par-1");
    assert.ok(there.length >= 2);
    const away = await zone.simulate({ displaced: true, changes: [{ without: { node: "par-1" } }] });
    assert.deepEqual(away.placements.map(({ name }) => name).sort(), there.map(({ metadata }) => metadata.name).sort());
    for (const { present, changed, effect } of away.placements) {
      assert.equal(present?.node, "par-1");
      assert.ok(effect === "elsewhere" ? changed.choice?.node !== "par-1" : effect === "lost");
    }
    const huge = { name: "huge", project: "shop", vcpus: 64, memoryMiB: 128, placement: { countries: ["FR"] } };
    const capacity = { vcpus: 64, memoryMiB: 65_536, diskMiB: 1_000_000 };
    const more = await zone.simulate({
      requests: [{ ...huge, count: 11 }],
      changes: [{ nodes: { count: 10, country: "FR", capacity } }],
    });
    assert.deepEqual(more.totals, { same: 1, elsewhere: 0, lost: 0, gained: 10 });
    assert.ok(more.placements.every(({ changed }) => changed.choice === undefined || changed.choice.site === "paris"));
    assert.match(more.placements[10]?.changed.reason ?? "", /capacity: 14 of 14 nodes have less than 64 vCPU free/);
    assert.equal(zone.api.store.list("Node").length, 4);
  });

  test("who may not read nodes is told their sites, and nothing of other projects", async () => {
    const tenant = await zone.api.token("tenant", "viewer", "shop");
    const outsider = await zone.api.token("outsider", "admin", "other");
    const nodes = /mad-[12]|par-1|ath-1/;
    for (const name of ["web", "what-1", "no", "row-1"]) {
      const told = await zone.explain(name, tenant);
      assert.doesNotMatch(JSON.stringify(told), nodes, name);
      assert.ok(told.now.explanation.chosen?.site !== undefined);
      assert.match(JSON.stringify(await zone.explain(name)), nodes);
      const elsewhere = await zone.ask("GET", `/projects/shop/instances/${name}/placement`, undefined, outsider);
      const nothing = await zone.ask("GET", "/projects/nothing/instances/x/placement", undefined, outsider);
      assert.deepEqual([elsewhere.status, nothing.status], [404, 404]);
    }
    const request = { name: "x", project: "shop", vcpus: 1, memoryMiB: 64 };
    const inShop = await zone.simulate(
      {
        requests: [
          { ...request, count: 40 },
          { ...request, vcpus: 99 },
        ],
        displaced: true,
        changes: [{ without: { site: "paris" } }],
      },
      tenant,
    );
    assert.doesNotMatch(JSON.stringify(inShop), nodes);
    const refused: readonly (readonly [object, number, RegExp])[] = [
      [{ requests: [request] }, 404, /no Project shop/],
      [{ instances: [{ project: "shop", name: "web" }] }, 404, /no Project shop/],
      [{ instances: [{ project: "other", name: "web" }] }, 404, /no Instance web in project other/],
      [{ changes: [{ without: { node: "mad-1" } }] }, 400, /names the node mad-1, which does not exist/],
      [{ changes: [{ without: { node: "nothing" } }] }, 400, /names the node nothing, which does not exist/],
    ];
    for (const [body, status, words] of refused) {
      const answer = await zone.ask("POST", "/placement/simulations", body, outsider);
      assert.equal(answer.status, status, answer.text);
      assert.match(answer.textAt("detail"), words);
    }
    // Nothing of the shop's is displaced for those who may not read it.
    const blind = await zone.simulate({ displaced: true, changes: [{ without: { site: "paris" } }] }, outsider);
    assert.deepEqual(blind.placements, []);

    // A refusal names no node either.
    const other = { runtime: "vm", ...spec, image: "islet", placement: { countries: ["ES"] }, vcpus: 8 };
    const operator = await zone.api.token("operator", "operator", "shop");
    assert.equal((await zone.ask("PATCH", "/nodes/mad-2", { spec: { schedulable: false } })).status, 200);
    const answer = await zone.ask("PUT", "/projects/shop/instances/big", { spec: other }, operator);
    assert.equal(answer.status, 422, answer.text);
    assert.doesNotMatch(answer.text, nodes);
    assert.equal((await zone.ask("PATCH", "/nodes/mad-2", { spec: { schedulable: true } })).status, 200);
  });

  test("too much at once is refused, and what is wrong is named", async () => {
    const request = { name: "x", project: "shop", vcpus: 1, memoryMiB: 64 };
    const cases: readonly (readonly [object, number, RegExp])[] = [
      [
        {
          requests: [
            { ...request, count: 150 },
            { ...request, count: 51 },
          ],
        },
        413,
        /at most 200, and this is 201/,
      ],
      [{ requests: [{ ...request, count: 201 }] }, 400, /count/],
      [{ changes: Array.from({ length: 33 }, () => ({ without: { site: "paris" } })) }, 400, /changes/],
      [
        {
          changes: [600, 401].map((count) => ({ nodes: { count, site: "paris", capacity: nodeFacts.capacity } })),
        },
        413,
        /at most 1000 nodes, and this brings 1001/,
      ],
      [{ changes: [{ without: { site: "paris", node: "x" } }] }, 400, /changes/],
      [{ changes: [{ without: { site: "nowhere" } }] }, 400, /names the site nowhere, which does not exist/],
      [
        { changes: [{ nodes: { count: 1, country: "IS", capacity: nodeFacts.capacity } }] },
        400,
        /IS, where no site has nodes/,
      ],
      [
        { requests: [{ ...request, placement: { maxLatency: [{ from: "Madird", milliseconds: 5 }] } }] },
        400,
        /No place named/,
      ],
      [
        { changes: [{ site: { name: "paris", latencies: [{ from: "Madird", milliseconds: 5 }] } }] },
        400,
        /No place named/,
      ],
      [{ what: 1 }, 400, /what/],
    ];
    for (const [body, status, words] of cases) {
      const answer = await zone.ask("POST", "/placement/simulations", body);
      assert.equal(answer.status, status, `${JSON.stringify(body)} ${answer.text}`);
      assert.match(answer.text, words);
    }
  });

  test("who may read no instances is told nothing of what there is", async () => {
    const nobody = await zone.api.token("nobody", "nothing");
    for (const change of [
      { without: { site: "paris" } },
      { without: { provider: "nothing" } },
      { nodes: { count: 1, country: "FR", capacity: nodeFacts.capacity } },
      { nodes: { count: 1, site: "nowhere", capacity: nodeFacts.capacity } },
    ]) {
      const answer = await zone.ask("POST", "/placement/simulations", { changes: [change] }, nobody);
      assert.equal(answer.status, 403, answer.text);
      assert.doesNotMatch(answer.text, /paris|nowhere|nothing which/);
    }
  });

  test("a simulation lets others in between, however much it asks", async () => {
    const affinity = Array.from({ length: 16 }, (_, serial) => {
      return { relation: "apart" as const, by: "node" as const, labels: { app: `a-${serial}` } };
    });
    const request = { name: "x", project: "shop", vcpus: 1, memoryMiB: 64, placement: { affinity } };
    const { fleet } = zone.controllers;
    let since = 0;
    let most = 0;
    const counting: SimulationDeps["fleet"] = {
      snapshot: (revision) => fleet.snapshot(revision),
      requestOf: (...asked) => fleet.requestOf(...asked),
      withPeers(...asked) {
        most = Math.max(most, ++since);
        return fleet.withPeers(...asked);
      },
    };
    const rights = new Rights([], undefined, zone.api.rights.roles);
    const nodes = { nodes: { count: 1, country: "FR", capacity: nodeFacts.capacity } };
    const steps = simulatePlacement(
      { view: zone.api.store, fleet: counting },
      { requests: [{ ...request, count: 10 }], changes: [nodes, nodes] },
      rights,
    );
    let turns = 0;
    for (; steps.next().done !== true; turns++) since = 0;
    assert.equal(most, 1, "one look at peers in each turn");
    // One each at the peers of ten and at two changes, and in either fleet at each of ten.
    assert.ok(turns >= 10 + 2 + 20, `${turns}`);
  });

  test("nodes that would be stand in the way of none that are there, and do not tell of them", async () => {
    const nodes = { count: 2, site: "paris", capacity: { vcpus: 96, memoryMiB: 4096, diskMiB: 10_000 } };
    const request = { name: "x", project: "shop", vcpus: 96, memoryMiB: 64 };
    const asked = { requests: [request], changes: [{ nodes }] };
    const before = await zone.simulate(asked);
    assert.deepEqual(before.placements[0]?.changed.choice?.node, "simulated-1-1");
    const made = await zone.ask("PUT", "/nodes/simulated-1-1", { spec: { site: "madrid" } });
    assert.ok(made.status < 300, made.text);
    const after = await zone.simulate(asked);
    assert.deepEqual(after.placements[0]?.changed, before.placements[0]?.changed);
  });
});
