import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { place, refusalError, refusalReasons } from "@skerry/placement";
import type { Candidate, PlacementRequest } from "@skerry/placement";
import { node, request } from "./fleet.ts";

const fleet = [
  node("mad-1", "Madrid", { labels: { disk: "ssd" }, sovereigntyLevel: 4, tier: "far-edge" }),
  node("par-1", "Paris", { used: { vcpus: 3, memoryMiB: 7168, diskMiB: 102_400 } }),
  node("ber-1", "Berlin", { labels: { disk: "ssd" }, architecture: "aarch64", jurisdiction: "US" }),
];
const closed = fleet.map((node) => ({ ...node, schedulable: false, healthy: node.name !== "mad-1" }));

/** One row per reason: the request, what its error says, and the way out that it names. */
const golden: readonly (readonly [string, PlacementRequest, string, string, (readonly Candidate[])?])[] = [
  [
    "capacity-vcpus",
    request({}, { vcpus: 8 }),
    "capacity: 3 of 3 nodes have less than 8 vCPU free, best 4 vCPU: 4 vCPU would open 2 nodes; " +
      "capacity: 1 of 3 nodes has less than 10 GiB of disk free, best 0 MiB",
    "ask for 4 vCPU (opens 2)",
  ],
  [
    "capacity-memory",
    request({ countries: ["FR"] }, { memoryMiB: 1536, diskMiB: 0 }),
    "country: 2 of 3 nodes are not in FR: DE would open 1 node; " +
      "capacity: 1 of 3 nodes has less than 1.5 GiB of memory free, best 1 GiB: 1 GiB would open 1 node",
    "allow country DE (opens 1); ask for 1 GiB of memory (opens 1)",
  ],
  [
    "capacity-disk",
    request({}, { diskMiB: 204_800 }),
    "capacity: 3 of 3 nodes have less than 200 GiB of disk free, best 100 GiB: 100 GiB would open 2 nodes",
    "ask for 100 GiB of disk (opens 2)",
  ],
  [
    "country",
    request({ countries: ["IT", "PT"] }),
    "country: 3 of 3 nodes are not in IT or PT: DE would open 1 node; " +
      "capacity: 1 of 3 nodes has less than 10 GiB of disk free, best 0 MiB",
    "allow country DE (opens 1)",
  ],
  [
    "latency",
    request({ maxLatency: [{ from: "Rome", milliseconds: 15 }] }),
    "latency: 3 of 3 nodes are over 15 ms from Rome, best 20.8 ms: 22 ms would open 1 node; " +
      "capacity: 1 of 3 nodes has less than 10 GiB of disk free, best 0 MiB",
    "allow 22 ms from Rome (opens 1)",
  ],
  [
    "jurisdiction",
    request({ jurisdictions: ["DE"] }),
    "jurisdiction: 3 of 3 nodes are not under the law of DE: ES would open 1 node; " +
      "capacity: 1 of 3 nodes has less than 10 GiB of disk free, best 0 MiB",
    "allow jurisdiction ES (opens 1)",
  ],
  [
    "sovereignty",
    request({ minSovereigntyLevel: 3, countries: ["DE"] }),
    "country: 2 of 3 nodes are not in DE: ES would open 1 node; " +
      "sovereignty: 2 of 3 nodes are below level 3, best level 2: level 2 would open 1 node; " +
      "capacity: 1 of 3 nodes has less than 10 GiB of disk free, best 0 MiB",
    "allow country ES (opens 1); accept sovereignty level 2 (opens 1)",
  ],
  [
    "labels",
    request({ labels: { disk: "ssd", gpu: "yes" } }),
    "labels: 3 of 3 nodes lack one or more of disk=ssd, gpu=yes: going without gpu=yes would open 2 nodes; " +
      "capacity: 1 of 3 nodes has less than 10 GiB of disk free, best 0 MiB",
    "drop the label gpu=yes (opens 2)",
  ],
  [
    "node, site, provider, tier and architecture",
    request(
      { nodes: ["x-1"], sites: ["x"], providers: ["x"], tiers: ["cloud"], architecture: "aarch64" },
      { diskMiB: 0 },
    ),
    "node: 3 of 3 nodes are not x-1; site: 3 of 3 nodes are not at x; provider: 3 of 3 nodes are not of x; " +
      "architecture: 2 of 3 nodes are not aarch64; tier: 1 of 3 nodes is not of tier cloud",
    "No single change would open a node: change several of these, or add a node that fits.",
  ],
  [
    "unhealthy, unschedulable and excluded",
    request({}, { excludeNodes: ["ber-1"], diskMiB: 0 }),
    "unschedulable: 3 of 3 nodes are cordoned: uncordoning would open 1 node; " +
      "excluded: 1 of 3 nodes is ruled out; unhealthy: 1 of 3 nodes is not healthy",
    "uncordon par-1 (opens 1)",
    closed,
  ],
  ["no nodes", request(), "there are no nodes yet", "Add a node first; `skerry node --help` says how.", []],
];

describe("a refusal", () => {
  for (const [name, asked, why, way, nodes = fleet] of golden) {
    test(`by ${name} says what was asked, how many fail it and what would change it`, () => {
      const decision = place(asked, nodes);
      assert.ok(decision.outcome === "refused");
      assert.equal(decision.reason, `No node fits: ${why}.`);
      const error = refusalError(decision);
      assert.equal(error.code, "no-placement");
      assert.equal(error.message, decision.reason);
      assert.equal(error.remedy, way.endsWith(".") ? way : `Any one of these would do: ${way}.`);
      assert.deepEqual(error.facts, { considered: nodes.length, refusals: decision.refusals });
      for (const refusal of decision.refusals) assert.ok(refusalReasons.includes(refusal.reason));
    });
  }

  test("by latency from a place that nobody knows is an error that names near ones", () => {
    const asked = request({ maxLatency: [{ from: "Lissbon", milliseconds: 10 }] });
    assert.throws(() => place(asked, fleet), /No place named "Lissbon" is known\. Did you mean Lisbon\?/);
  });
});
