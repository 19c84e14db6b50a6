import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SkerryError } from "@skerry/model";
import { planFleet, type FleetOptions } from "../src/plan.ts";

const options: FleetOptions = {
  nodes: 1000,
  sites: 60,
  seed: 7,
  bootMs: [100, 300],
  parts: { slow: 0.1, hanging: 0.05 },
};

describe("the plan of a fleet", () => {
  test("is the same for the same seed, and another for another", () => {
    assert.deepEqual(planFleet(options), planFleet(options));
    assert.notDeepEqual(planFleet(options).nodes, planFleet({ ...options, seed: 8 }).nodes);
  });

  test("gives each character exactly its part, and shares nodes out evenly to sites of distinct names", () => {
    const { nodes, sites } = planFleet(options);
    const characters = Map.groupBy(nodes, ({ character }) => character);
    assert.deepEqual(
      ["slow", "hanging", "well", "failing"].map((one) => characters.get(one as "slow")?.length ?? 0),
      [100, 50, 850, 0],
    );
    assert.deepEqual(characters.get("slow")?.[0]?.bootMs, [2000, 6000]);
    assert.equal(new Set(sites.map(({ name }) => name)).size, 60);
    const shares = [...Map.groupBy(nodes, ({ site }) => site).values()].map(({ length }) => length);
    assert.deepEqual([Math.min(...shares), Math.max(...shares), shares.length], [16, 17, 60]);
    assert.equal(new Set(nodes.map(({ name }) => name)).size, 1000);
  });

  test("has no more sites than nodes", () => {
    assert.equal(planFleet({ ...options, nodes: 3 }).sites.length, 3);
  });

  test("is refused where it can't be", () => {
    for (const wrong of [
      { nodes: 0 },
      { sites: 0 },
      { bootMs: [300, 100] as const },
      { bootMs: [-1, 100] as const },
      { parts: { slow: 0.6, failing: 0.5 } },
      { parts: { slow: -0.1 } },
      { parts: { slow: Number.NaN } },
    ])
      assert.throws(
        () => planFleet({ ...options, ...wrong }),
        (error) => error instanceof SkerryError && error.code === "invalid-request",
        JSON.stringify(wrong),
      );
  });
});
