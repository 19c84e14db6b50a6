import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { NodeFleet, Placer, placeGang } from "@skerry/placement";
import type { AffinityTerm, Candidate, GangMember, PlacementRequest } from "@skerry/placement";
import { seededRandom } from "@skerry/testkit";
import { seed } from "@skerry/testkit/seed";
import { node, request } from "./fleet.ts";
import { failures } from "./oracle.ts";
import { diceOf } from "./random-fleet.ts";
import type { Dice } from "./random-fleet.ts";

/** What a member asks beside those before it, spelt out. */
function asked(members: readonly GangMember[], names: readonly string[], member: number): PlacementRequest {
  const own: GangMember = members[member] ?? { ...request(), groups: [], affinity: [] };
  const { groups = [], affinity = [], ...rest } = own;
  const terms: AffinityTerm[] = affinity.map(({ group, ...term }) => ({
    ...term,
    nodes: [
      ...term.nodes,
      ...names.slice(0, member).filter((_, other) => group !== undefined && members[other]?.groups?.includes(group)),
    ],
  }));
  for (let other = 0; other < member; other++) {
    for (const term of members[other]?.affinity ?? []) {
      if (term.relation === "apart" && term.weight === undefined && groups.includes(term.group ?? "-"))
        terms.push({ relation: "apart", by: term.by, nodes: [names[other] ?? ""] });
    }
  }
  return { ...rest, affinity: terms };
}

function withTaken(nodes: readonly Candidate[], name: string, { vcpus, memoryMiB, diskMiB }: PlacementRequest) {
  return nodes.map((node) =>
    node.name !== name
      ? node
      : {
          ...node,
          used: {
            vcpus: node.used.vcpus + vcpus,
            memoryMiB: node.used.memoryMiB + memoryMiB,
            diskMiB: node.used.diskMiB + diskMiB,
          },
        },
  );
}

/** Whether there is any way at all, by trying every one. */
function isPossible(
  members: readonly GangMember[],
  nodes: readonly Candidate[],
  names: readonly string[] = [],
): boolean {
  if (names.length === members.length) return true;
  const next = asked(members, names, names.length);
  const named = (name: string): Candidate | undefined => nodes.find((node) => node.name === name);
  return nodes.some(
    (node) =>
      failures(next, node, named).length === 0 &&
      isPossible(members, withTaken(nodes, node.name, next), [...names, node.name]),
  );
}

function randomGang({ whole, one, chance, some }: Dice): GangMember[] {
  return Array.from({ length: 1 + whole(4) }, () => ({
    ...request({ ...(chance(0.3) ? { countries: some(["ES", "FR", "DE"], 2) } : {}) }, { vcpus: 1 + whole(3) }),
    groups: [one(["web", "db"])],
    ...(chance(0.6)
      ? {
          affinity: Array.from({ length: 1 + whole(2) }, () => ({
            relation: one(["with", "apart", "apart"] as const),
            by: one(["node", "site", "country"] as const),
            group: one(["web", "db"]),
            nodes: [],
            ...(chance(0.2) ? { weight: 0.5 } : {}),
          })),
        }
      : {}),
  }));
}

describe("a gang", () => {
  test("is placed wholly and rightly where there is any way, and not at all where there is none", (t) => {
    t.diagnostic(`seed ${seed} (SKERRY_TEST_SEED)`);
    const counts = { placed: 0, refused: 0, retraced: 0 };
    for (let number = 0; number < 2000; number++) {
      const dice = diceOf(seededRandom(seed + number));
      const nodes = Array.from({ length: 1 + dice.whole(5) }, (_, index) =>
        node(`n${index}`, dice.one(["Madrid", "Barcelona", "Paris", "Berlin"]), {
          used: { vcpus: dice.whole(4), memoryMiB: 0, diskMiB: 0 },
        }),
      );
      const members = randomGang(dice);
      const placer = new Placer(new NodeFleet(nodes));
      const decision = placeGang(placer, members);
      const story = JSON.stringify({ nodes, members, decision });
      assert.equal(decision.outcome === "placed", isPossible(members, nodes), story);
      for (const left of nodes) assert.deepEqual(placer.fleet.named(left.name), left, "nothing stays reserved");
      if (decision.outcome === "refused") {
        counts.refused++;
        assert.equal(decision.isCertain, true, story);
        continue;
      }
      counts.placed++;
      const names = decision.nodes.map(({ name }) => name);
      assert.equal(names.length, members.length);
      let now: readonly Candidate[] = nodes;
      for (const [member, name] of names.entries()) {
        const named = (other: string): Candidate | undefined => now.find((node) => node.name === other);
        const next = asked(members, names.slice(0, member), member);
        const where = named(name);
        assert.deepEqual(where && failures(next, where, named), [], story);
        if (placer.best(next).slot !== placer.fleet.slotNamed(name)) counts.retraced++;
        now = withTaken(now, name, next);
      }
    }
    assert.ok(counts.placed > 400 && counts.refused > 200 && counts.retraced > 20, JSON.stringify(counts));
  });

  test("that could not be tried to the end says so", () => {
    const nodes = Array.from({ length: 6 }, (_, index) => node(`n${index}`, "Madrid"));
    const apart = {
      groups: ["a"],
      affinity: [{ relation: "apart" as const, by: "node" as const, nodes: [], group: "a" }],
    };
    const members = Array.from({ length: 7 }, () => ({ ...request(), ...apart }));
    const decision = placeGang(new Placer(new NodeFleet(nodes)), members, 50);
    assert.deepEqual(decision, { outcome: "refused", member: 6, isCertain: false });
  });
});
