import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { NodeFleet, Placer, decide, explainDecision, explainSteps, finish, hiding } from "@skerry/placement";
import type { Candidate, PlacementRequest, RefusalReason } from "@skerry/placement";
import { seededRandom } from "@skerry/testkit";
import { seed } from "@skerry/testkit/seed";
import { node, request } from "./fleet.ts";
import { cost, failures } from "./oracle.ts";
import { diceOf, makeNodes, randomRequest } from "./random-fleet.ts";

/** The request without each single thing that it asks of a node's place and kind, spelt out. */
function withoutEach(asked: PlacementRequest): { reason: RefusalReason; without: PlacementRequest }[] {
  const found: { reason: RefusalReason; without: PlacementRequest }[] = [];
  const { constraints: wish } = asked;
  const names = {
    nodes: "node",
    sites: "site",
    providers: "provider",
    countries: "country",
    jurisdictions: "jurisdiction",
    tiers: "tier",
    minSovereigntyLevel: "sovereignty",
    architecture: "architecture",
  } as const;
  for (const [field, reason] of Object.entries(names)) {
    const { [field as keyof typeof names]: gone, ...constraints } = wish;
    if (gone !== undefined) found.push({ reason, without: { ...asked, constraints } });
  }
  for (const key in wish.labels) {
    const labels = { ...wish.labels };
    delete labels[key];
    found.push({ reason: "labels", without: { ...asked, constraints: { ...wish, labels } } });
  }
  for (const limit of wish.maxLatency ?? []) {
    // Limits count in the score too, where nothing else is said to.
    const latencyFrom = asked.latencyFrom ?? (wish.maxLatency ?? []).map(({ from }) => from);
    const maxLatency = (wish.maxLatency ?? []).filter((other) => other !== limit);
    found.push({ reason: "latency", without: { ...asked, latencyFrom, constraints: { ...wish, maxLatency } } });
  }
  const { residency, hugepagesMiB, pinnedCells, ...rest } = asked;
  const optional = {
    ...(residency && { residency }),
    ...(hugepagesMiB !== undefined && { hugepagesMiB }),
    ...(pinnedCells !== undefined && { pinnedCells }),
  };
  const lacking = (field: keyof typeof optional): PlacementRequest => {
    const { [field]: _, ...others } = optional;
    return { ...rest, ...others };
  };
  if (residency) found.push({ reason: "residency", without: lacking("residency") });
  if (hugepagesMiB !== undefined) found.push({ reason: "hugepages", without: lacking("hugepagesMiB") });
  if (pinnedCells !== undefined) found.push({ reason: "pinning", without: lacking("pinnedCells") });
  found.push({ reason: "taint", without: { ...asked, tolerations: ["gpu=only", "dirty=yes"] } });
  for (const field of ["networks", "storage"] as const) {
    for (const name of asked[field] ?? []) {
      const reason = field === "networks" ? "network" : "storage";
      found.push({ reason, without: { ...asked, [field]: asked[field]?.filter((other) => other !== name) } });
    }
  }
  for (const kind in asked.devices) {
    const devices = { ...asked.devices };
    delete devices[kind];
    found.push({ reason: "device", without: { ...asked, devices } });
  }
  for (const term of asked.affinity ?? []) {
    const affinity = asked.affinity?.filter((other) => other !== term) ?? [];
    if (term.weight === undefined) found.push({ reason: "affinity", without: { ...asked, affinity } });
  }
  return found;
}

/** A change of a limit, and a little less of it. */
function slightlyLess(
  { constraints: wish, ...rest }: PlacementRequest,
  reason: RefusalReason,
  asked: PlacementRequest,
): PlacementRequest | undefined {
  if (reason === "sovereignty")
    return { ...rest, constraints: { ...wish, minSovereigntyLevel: (wish.minSovereigntyLevel ?? 0) + 1 } };
  if (reason !== "latency") return undefined;
  const maxLatency = (wish.maxLatency ?? []).map((limit, index) =>
    limit.milliseconds === asked.constraints.maxLatency?.[index]?.milliseconds
      ? limit
      : { ...limit, milliseconds: limit.milliseconds - 0.001 },
  );
  return { ...rest, constraints: { ...wish, maxLatency } };
}

describe("an explanation", () => {
  test("names exactly the things that decided: those that alone would open a node, or a better one", (t) => {
    t.diagnostic(`seed ${seed} (SKERRY_TEST_SEED)`);
    const counts = { opened: 0, improved: 0, nothing: 0 };
    for (let number = 0; number < 1500; number++) {
      const dice = diceOf(seededRandom(seed + number));
      const make = makeNodes(dice, 12);
      const nodes = Array.from({ length: 1 + dice.whole(11) }, (_, serial) => make(serial));
      const named = (name: string): Candidate | undefined => nodes.find((other) => other.name === name);
      const asked = randomRequest(dice, nodes);
      const ranked = (what: PlacementRequest): { name: string; cost: number }[] =>
        nodes
          .filter((other) => failures(what, other, named).length === 0)
          .map((other) => ({ name: other.name, cost: cost(what, other, named) }))
          .sort((a, b) => a.cost - b.cost);
      const now = ranked(asked);
      const story = JSON.stringify({ asked, nodes });
      const explained = explainDecision(new Placer(new NodeFleet(nodes)), asked);
      assert.equal(explained.fitting, now.length, story);
      const about = (reason: RefusalReason): boolean => !reason.startsWith("capacity");
      const changes = explained.changes.filter(({ reason }) => about(reason));
      const deciding = withoutEach(asked).filter(({ without }) => {
        const then = ranked(without)[0];
        return then !== undefined && (now[0] === undefined || then.cost < now[0].cost);
      });
      assert.deepEqual(changes.map(({ reason }) => reason).sort(), deciding.map(({ reason }) => reason).sort(), story);
      for (const { request: relaxed, node: where, opens, gain, sentence, reason } of explained.changes) {
        const then = ranked(relaxed);
        if (gain === undefined) {
          const less = slightlyLess(relaxed, reason, asked);
          assert.equal(less === undefined ? 0 : ranked(less).length, 0, `less than ${sentence} ${story}`);
        }
        assert.ok(
          then.some(({ name }) => name === where),
          `${sentence} ${story}`,
        );
        assert.equal(opens.nodes, then.length - now.length, `${sentence} ${story}`);
        if (gain !== undefined) counts.improved++;
        else counts.opened++;
      }
      if (now[0] === undefined) {
        assert.equal(explained.chosen, undefined);
        if (explained.changes.length === 0) counts.nothing++;
        const smallest = { vcpus: 1, memoryMiB: 32, diskMiB: 1 };
        for (const [field, reason] of [
          ["vcpus", "capacity-vcpus"],
          ["memoryMiB", "capacity-memory"],
          ["diskMiB", "capacity-disk"],
        ] as const) {
          const change = explained.changes.find((other) => other.reason === reason);
          const isWay = asked[field] > smallest[field] && ranked({ ...asked, [field]: smallest[field] }).length > 0;
          assert.equal(change !== undefined, isWay, story);
          const most = change?.request[field] ?? 0;
          if (change !== undefined) assert.equal(ranked({ ...asked, [field]: most + 1 }).length, 0, story);
        }
        continue;
      }
      const near = (one: number, other: number): boolean => Math.abs(one - other) < 1e-9;
      assert.ok(near(explained.chosen?.score ?? Number.NaN, now[0].cost), story);
      assert.deepEqual(explained.alternatives.length, Math.min(3, now.length - 1));
      for (const [index, { score, losesBy }] of explained.alternatives.entries()) {
        assert.ok(near(score, now[index + 1]?.cost ?? Number.NaN), story);
        assert.ok(near(score, now[0].cost) || losesBy.length > 0);
      }
    }
    assert.ok(counts.opened > 150 && counts.improved > 50 && counts.nothing > 20, JSON.stringify(counts));
  });

  const city = (name: string, where: string, carbonGramsPerKWh: number, changes: Partial<Candidate> = {}): Candidate =>
    node(name, where, { carbonGramsPerKWh, eurosPerVcpuHour: 0.05, ...changes });
  const nodes = [
    city("mad-1", "Madrid", 200),
    city("lis-1", "Lisbon", 138),
    city("lis-2", "Lisbon", 138, { used: { vcpus: 4, memoryMiB: 0, diskMiB: 0 } }),
    city("par-1", "Paris", 50),
  ];
  const explainOf = (asked: PlacementRequest) => explainDecision(new Placer(new NodeFleet(nodes)), asked);

  test("of a refusal says by how little more each limit would open a node, and where", () => {
    const { chosen, changes, refusals } = explainOf(
      request({ maxLatency: [{ from: "Porto", milliseconds: 6 }] }, { vcpus: 2 }),
    );
    assert.equal(chosen, undefined);
    assert.deepEqual(
      changes.map(({ sentence }) => sentence),
      ["7.4 ms instead of 6 ms from Porto opens 1 node at 1 site"],
    );
    assert.deepEqual(
      refusals.map(({ reason, nodes: failing }) => [reason, failing]),
      [
        ["latency", 4],
        ["capacity-vcpus", 1],
      ],
    );
  });

  test("of a placement says what each part of the score is, why the next best lose, and what more latency would save", () => {
    const asked = request({ maxLatency: [{ from: "Madrid", milliseconds: 12 }] });
    const { chosen, alternatives, changes } = explainOf({ ...asked, weights: { carbon: 1, spread: 0.1 } });
    assert.equal(chosen?.node, "lis-1");
    assert.deepEqual(chosen.parts, { spread: 0.1 * 0.25, carbon: 138 / 500 });
    assert.deepEqual(
      alternatives.map(({ sentence }) => sentence),
      ["mad-1 scores 0.12 worse: more carbon by 0.12"],
    );
    assert.deepEqual(
      changes.map(({ sentence }) => sentence),
      ["19.9 ms instead of 12 ms from Madrid saves 64 % carbon"],
    );
  });

  test("of a placement that nothing would better names nothing", () => {
    assert.deepEqual(explainOf(request({ countries: ["FR"] }, { weights: { carbon: 1 } })).changes, []);
  });
});

describe("what would change a decision", () => {
  test("does when the engine decides it with that change: it goes where the explanation says, as well as it says", (t) => {
    t.diagnostic(`seed ${seed} (SKERRY_TEST_SEED)`);
    const counts = { opened: 0, improved: 0 };
    for (let number = 0; number < 600; number++) {
      const dice = diceOf(seededRandom(seed + number));
      const make = makeNodes(dice, 12);
      const nodes = Array.from({ length: 1 + dice.whole(11) }, (_, serial) => make(serial));
      const placer = new Placer(new NodeFleet(nodes));
      const asked = randomRequest(dice, nodes);
      const { chosen, changes } = explainDecision(placer, asked);
      for (const { request: otherwise, node: where, site, gain, sentence } of changes) {
        const decision = decide(placer, otherwise);
        const story = `${sentence} ${JSON.stringify({ asked, nodes })}`;
        assert.ok(decision.outcome === "placed", story);
        const then = explainDecision(placer, otherwise).chosen;
        assert.equal(then?.node, decision.node.name);
        if (gain === undefined) {
          assert.equal(chosen, undefined, story);
          counts.opened++;
        } else {
          counts.improved++;
          assert.ok((then?.score ?? 0) < (chosen?.score ?? 0), story);
        }
        assert.deepEqual([decision.node.name, decision.node.site], [where, site], story);
      }
    }
    assert.ok(counts.opened > 60 && counts.improved > 20, JSON.stringify(counts));
  });

  test("names no node to those who may not know of it, and still says at which site", () => {
    const nodes = [
      node("secret-1", "Madrid", { used: { vcpus: 3, memoryMiB: 0, diskMiB: 0 } }),
      node("secret-2", "Lisbon", { healthy: false }),
      node("secret-3", "Lisbon", { schedulable: false }),
      node("known-1", "Paris"),
    ];
    const naming = hiding(({ name }) => name.startsWith("secret"));
    const placer = new Placer(new NodeFleet(nodes));
    const words = (asked: PlacementRequest): string => {
      const { refusals, changes, alternatives } = finish(explainSteps(placer, asked, naming));
      const told = [
        ...refusals.map(({ nearest, sentence }) => [nearest, sentence]),
        changes.map((one) => one.sentence),
      ];
      const refused = decide(placer, { ...asked, vcpus: 5 }, naming);
      return JSON.stringify([told, alternatives.map((one) => one.sentence), refused]);
    };
    const all = [
      request(),
      request({ nodes: ["known-1"] }, { vcpus: 4 }),
      request({ countries: ["PT"] }),
      request({ nodes: ["known-2"] }),
      request({ maxLatency: [{ from: "Lisbon", milliseconds: 4 }] }, { weights: { latency: 1 } }),
    ].map(words);
    for (const text of all) assert.doesNotMatch(text, /secret/, text);
    assert.match(all.join(" "), /bring a node at lisbon back to health/);
    assert.match(all.join(" "), /a node at madrid too|allow a node at madrid/);
  });
});
