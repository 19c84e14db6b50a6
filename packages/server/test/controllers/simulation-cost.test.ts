import assert from "node:assert/strict";
import { test } from "node:test";
import type { SimulationRequest } from "@skerry/model";
import { simulationCost } from "../../src/controllers/explaining/simulation-cost.ts";

test("a simulation costs what it asks: placements, their selectors, changes and the nodes that these bring", () => {
  const request = { name: "x", project: "shop", vcpus: 1, memoryMiB: 64 };
  const affinity = Array.from({ length: 16 }, (_, serial) => {
    return { relation: "with" as const, by: "site" as const, labels: { app: `a-${serial}` } };
  });
  const capacity = { vcpus: 1, memoryMiB: 64, diskMiB: 64 };
  const cases: readonly (readonly [SimulationRequest, number])[] = [
    [{}, 5],
    [{ requests: [request, { ...request, count: 9 }] }, 15],
    [{ requests: [{ ...request, count: 60, placement: { affinity } }] }, 5 + 60 * 17],
    [{ changes: [{ without: { site: "a" } }] }, 6],
    [{ changes: [{ nodes: { count: 1000, site: "a", capacity } }] }, 5 + 1 + 50],
    [{ displaced: true }, 205],
  ];
  for (const [asked, cost] of cases) assert.equal(simulationCost(asked, []), cost, JSON.stringify(asked));
});
