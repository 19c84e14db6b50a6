import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { NodeFleet, Placer, decide, explain, obstacles, place } from "@skerry/placement";
import type { Candidate, PlacementRequest, Refusal } from "@skerry/placement";
import "@skerry/testkit/seed";
import * as arbitrary from "./arbitrary.ts";
import { node, request } from "./fleet.ts";
import { failures, use } from "./oracle.ts";

describe("placement against a brute-force oracle", () => {
  test("it chooses the least used of the nodes that fit, by name where equal, and refuses only where none does", () => {
    let placed = 0;
    const property = fc.property(arbitrary.request, arbitrary.fleet, (asked, fleet) => {
      const fit = fleet.filter((node) => failures(asked, node).length === 0);
      const [best, second] = fit.toSorted((a, b) => use(asked, a) - use(asked, b) || (a.name < b.name ? -1 : 1));
      const decision = place(asked, fleet);
      const kept = decide(new Placer(new NodeFleet(fleet)), asked);
      // The next best is found on the way by a look at all alone.
      const { next, ...alike } = { next: undefined, ...decision };
      // Some objects of generated nodes have no prototype.
      assert.deepEqual(structuredClone(kept), structuredClone(alike), "the engine decides as a look at all does");
      assert.equal(next?.node.name, second?.name);
      assert.equal(decision.considered, fleet.length);
      if (decision.outcome === "placed") {
        placed++;
        assert.equal(decision.node.name, best?.name);
        assert.equal(decision.fitting, fit.length);
        assert.equal(decision.score.use, use(asked, decision.node));
        assert.ok(
          decision.latencies.every(
            ({ milliseconds }, index) => milliseconds <= (asked.constraints.maxLatency?.[index]?.milliseconds ?? 0),
          ),
        );
      } else assert.equal(best, undefined);
      for (const node of fleet) assert.deepEqual(obstacles(asked, node), failures(asked, node));
    });
    fc.assert(property, { numRuns: 3000 });
    // A generator whose requests never fit would prove nothing.
    assert.ok(placed > 300, `only ${placed} were placed`);
  });

  test("the order of nodes changes nothing", () => {
    const shuffled = arbitrary.fleet.chain((fleet) =>
      fc.tuple(fc.constant(fleet), fc.shuffledSubarray([...fleet], { minLength: fleet.length })),
    );
    const property = fc.property(arbitrary.request, shuffled, (asked, [fleet, other]) => {
      assert.deepEqual(place(asked, other), place(asked, fleet));
    });
    fc.assert(property, { numRuns: 500 });
  });

  test("every node that fails is counted under each thing it fails, and no other", () => {
    const property = fc.property(arbitrary.request, arbitrary.fleet, (asked, fleet) => {
      const expected = fleet.flatMap((node) => failures(asked, node)).sort();
      const counted = explain(asked, fleet)
        .flatMap(({ reason, nodes }) => Array.from({ length: nodes }, () => reason))
        .sort();
      assert.deepEqual(counted, expected);
    });
    fc.assert(property, { numRuns: 1000 });
  });

  test("a nearest miss is true: who asks for it instead gets that many nodes more, and no smaller change of it gets any", () => {
    let misses = 0;
    const property = fc.property(arbitrary.request, arbitrary.fleet, (asked, fleet) => {
      const fits = (request: PlacementRequest): number =>
        fleet.filter((node) => failures(request, node).length === 0).length;
      for (const refusal of explain(asked, fleet)) {
        const relaxed = relax(asked, refusal);
        if (relaxed === undefined) continue;
        misses++;
        assert.equal(fits(relaxed.nearest) - fits(asked), refusal.nearest?.opens, refusal.sentence);
        if (relaxed.less !== undefined) assert.equal(fits(relaxed.less), fits(asked), refusal.sentence);
      }
    });
    fc.assert(property, { numRuns: 3000 });
    assert.ok(misses > 300, `only ${misses} were tried`);
  });
});

/** The request with a refusal's advice taken, and where it is a number, with slightly less of it. */
function relax(
  asked: PlacementRequest,
  { reason, nearest, asked: what }: Refusal,
): { nearest: PlacementRequest; less?: PlacementRequest } | undefined {
  if (nearest === undefined) return undefined;
  const { value } = nearest;
  const wish = asked.constraints;
  const constrain = (constraints: PlacementRequest["constraints"]): PlacementRequest => ({
    ...asked,
    constraints: { ...wish, ...constraints },
  });
  if (typeof value === "number") {
    switch (reason) {
      case "capacity-vcpus":
        return { nearest: { ...asked, vcpus: value }, less: { ...asked, vcpus: value + 1 } };
      case "capacity-memory":
        return { nearest: { ...asked, memoryMiB: value }, less: { ...asked, memoryMiB: value + 1 } };
      case "capacity-disk":
        return { nearest: { ...asked, diskMiB: value }, less: { ...asked, diskMiB: value + 1 } };
      case "sovereignty":
        return {
          nearest: constrain({ minSovereigntyLevel: value }),
          less: constrain({ minSovereigntyLevel: value + 1 }),
        };
      case "latency": {
        const at = (milliseconds: number): PlacementRequest =>
          constrain({
            maxLatency: (wish.maxLatency ?? []).map((limit) =>
              isMeant(limit, what) ? { ...limit, milliseconds } : limit,
            ),
          });
        // Two limits of equal words cannot be told apart here.
        if ((wish.maxLatency ?? []).filter((limit) => isMeant(limit, what)).length !== 1) return undefined;
        return { nearest: at(value), less: at(value - 0.001) };
      }
      default:
        throw new Error(`${reason} has no number`);
    }
  }
  switch (reason) {
    case "node":
      return { nearest: constrain({ nodes: [...(wish.nodes ?? []), value] }) };
    case "site":
      return { nearest: constrain({ sites: [...(wish.sites ?? []), value] }) };
    case "provider":
      return { nearest: constrain({ providers: [...(wish.providers ?? []), value] }) };
    case "country":
      return { nearest: constrain({ countries: [...(wish.countries ?? []), value] }) };
    case "jurisdiction":
      return { nearest: constrain({ jurisdictions: [...(wish.jurisdictions ?? []), value] }) };
    case "tier":
      return { nearest: constrain({ tiers: [...(wish.tiers ?? []), value as Candidate["tier"]] }) };
    case "labels": {
      const kept = Object.entries(wish.labels ?? {}).filter(([key, word]) => `${key}=${word}` !== value);
      return { nearest: constrain({ labels: Object.fromEntries(kept) }) };
    }
    default:
      return undefined; // The request cannot change it.
  }
}

function isMeant(limit: { from: unknown; milliseconds: number }, words: string): boolean {
  return words.startsWith(`${limit.milliseconds} ms from ${typeof limit.from === "string" ? limit.from : "50, 10"}`);
}

describe("a placement", () => {
  test("says why here: what is free, the modelled latency from each place asked for, and how many fit", () => {
    const fleet = [
      node("mad-1", "Madrid", { used: { vcpus: 1, memoryMiB: 3072, diskMiB: 0 } }),
      node("bcn-1", "Barcelona", { used: { vcpus: 2, memoryMiB: 0, diskMiB: 0 } }),
      node("ber-1", "Berlin"),
    ];
    const decision = place(
      request({
        maxLatency: [
          { from: "Madrid", milliseconds: 15 },
          { from: "Lisboa", milliseconds: 30 },
        ],
      }),
      fleet,
    );
    assert.equal(decision.outcome, "placed");
    assert.equal(
      decision.reason,
      "mad-1: free 3 vCPU and 5 GiB, 3 ms modelled from Madrid, 11.1 ms modelled from Lisbon; 2 of 3 nodes fit",
    );
    assert.deepEqual(decision.score, { vcpus: 0.5, memory: 0.5, disk: 0.1, use: 0.5 });
    assert.deepEqual(decision.latencies[0], { from: "Madrid", milliseconds: 3, modelled: true });
  });

  test("spreads equal instances over equal nodes, in order of their names", () => {
    const fleet = ["c", "a", "b"].map((name) => node(name, "Paris"));
    const chosen: string[] = [];
    for (let count = 0; count < 6; count++) {
      const now = fleet.map((node) => ({
        ...node,
        used: { ...node.used, vcpus: chosen.filter((name) => name === node.name).length },
      }));
      const decision = place(request({}, { memoryMiB: 1, diskMiB: 1 }), now);
      if (decision.outcome === "placed") chosen.push(decision.node.name);
    }
    assert.deepEqual(chosen, ["a", "b", "c", "a", "b", "c"]);
  });
});
