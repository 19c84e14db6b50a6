import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Store } from "@skerry/store";
import { seed } from "@skerry/testkit/seed";
import { memoryFolder, useScratchStore } from "../fakes/scratch-store.ts";
import { guardRoundMs, overlaps } from "@skerry/testkit";
import { seededRandom } from "@skerry/testkit";
import { playLeases } from "./lease-play.ts";

const runs = Number(process.env["SKERRY_TEST_RUNS"] ?? 200);

describe("leases", () => {
  let store: Store;
  useScratchStore((opened) => (store = opened), Date.now, memoryFolder);

  test("the judge sees two writers, and excuses one round of the guard after a suspension", () => {
    const one = { instanceId: "ins_1", node: "a", epoch: 1, fromMs: 0, untilMs: 5000 };
    const after5 = { instanceId: "ins_1", node: "b", epoch: 2, fromMs: 5000 };
    assert.deepEqual(overlaps([one, after5]), []);
    assert.equal(overlaps([one, { ...after5, fromMs: 4999 }]).length, 1);
    assert.equal(overlaps([one, { ...after5, instanceId: "ins_2", fromMs: 4000 }]).length, 0);
    const woken = { ...one, fromMs: 9000, untilMs: 9000 + guardRoundMs, resumedMs: 9000 };
    assert.equal(overlaps([after5, woken]).length, 0);
    assert.equal(overlaps([after5, { ...woken, untilMs: 9001 + guardRoundMs }]).length, 1);
  });

  test("never two writers, no lost intent, and what is kept runs on, whatever is cut, stopped, suspended or rebooted when", async (t) => {
    t.diagnostic(`seed ${seed}, ${runs} runs (SKERRY_TEST_SEED, SKERRY_TEST_RUNS)`);
    let replacements = 0;
    let writings = 0;
    for (let run = 0; run < runs; run++) {
      try {
        const report = await playLeases(store, seededRandom(seed + run), 20);
        replacements += report.replacements;
        writings += report.writings;
      } catch (error) {
        throw new Error(`run ${run}, SKERRY_TEST_RUNS=1 SKERRY_TEST_SEED=${seed + run}: ${(error as Error).message}`, {
          cause: error,
        });
      }
    }
    t.diagnostic(`${replacements} replacements, ${writings} stretches of writing`);
    assert.ok(replacements >= runs / 10, `only ${replacements} replacements: the runs test little`);
  });
});
