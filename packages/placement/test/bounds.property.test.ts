import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { NodeFleet } from "@skerry/placement";
import { seededRandom } from "@skerry/testkit";
import { seed } from "@skerry/testkit/seed";
import { fact, factStride, levels, shiftOf } from "../src/fleet/columns.ts";
import { impossible, nodeCost } from "../src/search/match.ts";
import { Memo } from "../src/search/memo.ts";
import { makeQuery } from "../src/search/query.ts";
import { rankFrom, rowCost, rowRank } from "../src/search/row-cost.ts";
import { diceOf, makeNodes, randomRequest } from "./random-fleet.ts";

describe("the bounds of blocks, groups and regions", () => {
  test("promise no less than any node below keeps, whatever was added, changed, used or taken out since", (t) => {
    t.diagnostic(`seed ${seed} (SKERRY_TEST_SEED)`);
    let [fitting, tight, passed] = [0, 0, 0];
    for (let number = 0; number < 60; number++) {
      const dice = diceOf(seededRandom(seed + number));
      const count = 1 + dice.whole(number % 20 === 0 ? 2500 : 400);
      const make = makeNodes(dice, count);
      const nodes = Array.from({ length: count }, (_, serial) => make(serial));
      const fleet = new NodeFleet(nodes);
      const memo = new Memo();
      for (let step = 0; step < 12; step++) {
        for (let change = 0; change < 8; change++) {
          const node = dice.one(nodes);
          if (dice.chance(0.1)) fleet.remove(node.id);
          else if (dice.chance(0.3)) fleet.put({ ...make(change), id: node.id, name: node.name });
          else fleet.setUsed(node.id, { ...node.used, vcpus: dice.whole(node.capacity.vcpus + 1) });
        }
        const asked = randomRequest(dice, nodes);
        const query = makeQuery(fleet, step % 3 === 0 ? { ...asked, weights: { pack: 1 } } : asked, memo);
        const { facts, limits } = fleet.columns;
        for (let depth = 0; depth < levels; depth++) {
          const level = fleet.columns.levels[depth];
          if (level === undefined) continue;
          const best = Array.from({ length: level.count }, () => impossible);
          for (let slot = 0; slot < limits.slots; slot++) {
            const cost = nodeCost(query, slot);
            if (cost === impossible) continue;
            const row = slot >> shiftOf(depth);
            fitting++;
            best[row] = Math.min(best[row] ?? impossible, cost);
            assert.ok(
              rowCost(query, level, depth, row, impossible) <= cost,
              `level ${depth} of ${JSON.stringify(asked)}`,
            );
            const rank = rankFrom(query, facts[slot * factStride + fact.rank] ?? 0);
            assert.ok(rowRank(query, level, row) <= rank);
          }
          for (const [row, cost] of best.entries()) {
            passed += cost === impossible ? 1 : 0;
            tight += rowCost(query, level, depth, row, impossible) === cost ? 1 : 0;
          }
        }
      }
    }
    assert.ok(fitting > 10_000, `only ${fitting} nodes fitted`);
    // Bounds that promise all to everyone would be true, and of no use.
    assert.ok(tight > passed / 4, `only ${tight} rows were told exactly`);
  });
});
