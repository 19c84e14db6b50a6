import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { rebalanceObjectives } from "@skerry/model";
import { NodeFleet, Placer, rebalance } from "@skerry/placement";
import type { Candidate, RebalanceObjective, Rebalanced, Resident } from "@skerry/placement";
import { seededRandom } from "@skerry/testkit";
import { seed } from "@skerry/testkit/seed";
import { failures, use } from "./oracle.ts";
import { node, request } from "./fleet.ts";
import { diceOf, makeNodes, randomRequest } from "./random-fleet.ts";

/** The fleet as the test keeps it: what is on each node, counted by itself. */
function loadedNodes(nodes: readonly Candidate[], residents: readonly Resident[]): Map<string, Candidate> {
  const loaded = new Map(nodes.map((one) => [one.id, one]));
  for (const { nodeId, request: asked } of residents) {
    const found = loaded.get(nodeId) ?? assert.fail(`no node ${nodeId}`);
    const { vcpus, memoryMiB, diskMiB } = found.used;
    const used = {
      vcpus: vcpus + asked.vcpus,
      memoryMiB: memoryMiB + asked.memoryMiB,
      diskMiB: diskMiB + asked.diskMiB,
    };
    loaded.set(nodeId, { ...found, used });
  }
  return loaded;
}

function valueOf(
  nodes: ReadonlyMap<string, Candidate>,
  residents: readonly Resident[],
  objective: RebalanceObjective,
): number {
  const rate = (id: string): number => {
    const { eurosPerVcpuHour, carbonGramsPerKWh } = nodes.get(id) ?? assert.fail();
    return (objective === "price" ? eurosPerVcpuHour : carbonGramsPerKWh) ?? 0;
  };
  if (objective === "price" || objective === "carbon")
    return residents.reduce((sum, { nodeId, request: asked }) => sum + rate(nodeId) * asked.vcpus, 0);
  let sum = 0;
  for (const one of nodes.values()) {
    const { vcpus = 1, memoryMiB = 1 } = one.overcommit ?? {};
    const capacity = {
      vcpus: one.capacity.vcpus * vcpus,
      memoryMiB: one.capacity.memoryMiB * memoryMiB,
      diskMiB: one.capacity.diskMiB,
    };
    const isUsed = one.used.vcpus + one.used.memoryMiB + one.used.diskMiB > 0;
    const part = use({ vcpus: 0, memoryMiB: 0, diskMiB: 0, constraints: {} }, { ...one, capacity });
    sum += objective === "balance" ? part * part : isUsed ? 1 : 0;
  }
  return sum;
}

/** Carries the moves out one after the other, and checks each against the oracle. @returns where all are then */
function carryOut(
  nodes: readonly Candidate[],
  residents: readonly Resident[],
  { relocations }: Rebalanced,
): Resident[] {
  let now = [...residents];
  for (const { resident, to } of relocations) {
    const others = now.filter(({ id }) => id !== resident.id);
    const loaded = loadedNodes(nodes, others);
    const target = loaded.get(to) ?? assert.fail("it goes nowhere");
    assert.notEqual(to, resident.nodeId, "it stays");
    assert.deepEqual(failures(resident.request, target), [], `${resident.id} on ${target.name}`);
    now = [...others, { ...resident, nodeId: to }];
  }
  return now;
}

describe("rebalancing", () => {
  test("is never worse, by as much as it says, and never breaks what an instance asks, on any fleet", (t) => {
    t.diagnostic(`seed ${seed} (SKERRY_TEST_SEED)`);
    const random = seededRandom(seed);
    const found = { balance: 0, price: 0, carbon: 0, consolidation: 0 };
    for (let run = 0; run < 80; run++) {
      const dice = diceOf(random);
      const count = 2 + dice.whole(40);
      const make = makeNodes(dice, count);
      const nodes = Array.from({ length: count }, (_, number) => make(number));
      const fleet = new NodeFleet(nodes);
      const placer = new Placer(fleet);
      const residents: Resident[] = [];
      for (let number = 0; number < 60; number++) {
        const asked = randomRequest(dice, nodes);
        const { slot } = placer.best(asked);
        if (slot < 0) continue;
        residents.push({ id: `ins_${number}`, nodeId: fleet.idAt(slot), request: asked });
        fleet.reserve(slot, asked);
      }
      const loaded = [...loadedNodes(nodes, residents).values()];
      for (const objective of rebalanceObjectives) {
        const maxMoves = dice.whole(12);
        const made = rebalance(new NodeFleet(loaded), residents, { objective, maxMoves });
        const after = carryOut(nodes, residents, made);
        const was = valueOf(loadedNodes(nodes, residents), residents, objective);
        const is = valueOf(loadedNodes(nodes, after), after, objective);
        const where = `${objective} of run ${run}`;
        assert.ok(made.relocations.length <= maxMoves, where);
        assert.ok(Math.abs(made.before - was) < 1e-6, `${where} was ${was}, not ${made.before}`);
        assert.ok(Math.abs(made.after - is) < 1e-6, `${where} is ${is}, not ${made.after}`);
        assert.ok(made.relocations.length === 0 || is < was, `${where} is no better`);
        assert.equal(new Set(made.relocations.map(({ resident }) => resident.id)).size, made.relocations.length);
        found[objective] += made.relocations.length;
      }
    }
    for (const objective of rebalanceObjectives)
      assert.ok(found[objective] > 20, `${objective}: ${found[objective]} moves`);
  });

  const site = (name: string, euros: number, grams: number, used = 0): Candidate =>
    node(name, name.startsWith("m") ? "Madrid" : "Paris", {
      eurosPerVcpuHour: euros,
      carbonGramsPerKWh: grams,
      used: { vcpus: used, memoryMiB: used * 256, diskMiB: 0 },
    });
  const small = request({}, { vcpus: 1, memoryMiB: 256, diskMiB: 0 });
  const on = (nodeId: string, count: number): Resident[] =>
    Array.from({ length: count }, (_, number) => ({ id: `${nodeId} ${number}`, nodeId, request: small }));

  test("evens out, cheapens, decarbonises and empties what can be", () => {
    const nodes = [site("mad-1", 0.1, 500, 3), site("mad-2", 0.05, 300, 1), site("par-1", 0.2, 50)];
    const id = (name: string) => nodes.find((one) => one.name === name)?.id ?? assert.fail(name);
    const residents = [...on(id("mad-1"), 3), ...on(id("mad-2"), 1)];
    const asked = (objective: RebalanceObjective) => {
      const { relocations, before, after } = rebalance(new NodeFleet(nodes), residents, { objective, maxMoves: 9 });
      const flows = relocations.map(({ resident, to }) => `${nameOf(resident.nodeId)}>${nameOf(to)}`).sort();
      return { flows, gain: before - after };
    };
    const nameOf = (nodeId: string) => nodes.find((one) => one.id === nodeId)?.name;
    assert.deepEqual(asked("balance").flows, ["mad-1>par-1"]);
    assert.deepEqual(asked("price").flows, ["mad-1>mad-2", "mad-1>mad-2", "mad-1>mad-2"]);
    assert.deepEqual(asked("carbon").flows, ["mad-1>par-1", "mad-1>par-1", "mad-1>par-1", "mad-2>par-1"]);
    assert.deepEqual(asked("consolidation"), { flows: ["mad-2>mad-1"], gain: 1 });
    assert.ok(Math.abs(asked("price").gain - 0.15) < 1e-9);
  });

  test("gives back the room of a node that can't be emptied after all, to one that can", () => {
    const nodes = [site("mad-1", 0.1, 500, 4), site("mad-2", 0.1, 500, 3), site("mad-3", 0.1, 500, 1)];
    const [one = "", two = ""] = nodes.map(({ id }) => id);
    const large = { id: "large", nodeId: one, request: request({}, { vcpus: 3, memoryMiB: 768, diskMiB: 0 }) };
    const pinned = { id: "pinned", nodeId: one, request: { ...small, constraints: { nodes: ["mad-1"] } } };
    const residents = [large, pinned, ...on(two, 3)];
    const made = rebalance(new NodeFleet(nodes), residents, { objective: "consolidation", maxMoves: 9 });
    assert.deepEqual(
      made.relocations.map(({ resident, to }) => [resident.nodeId, to]),
      [0, 1, 2].map(() => [two, "nod_mad-3"]),
    );
  });

  test("leaves alone what asks for its peers, or for what can't be shared", () => {
    const nodes = [site("mad-1", 0.1, 500, 1), site("mad-2", 0.05, 300)];
    const [first] = nodes;
    const picky = { ...small, affinity: [{ relation: "apart" as const, by: "node" as const, nodes: ["mad-2"] }] };
    const residents = [{ id: "one", nodeId: first?.id ?? "", request: picky }];
    for (const objective of rebalanceObjectives)
      assert.deepEqual(rebalance(new NodeFleet(nodes), residents, { objective, maxMoves: 9 }).relocations, []);
  });
});
