import { test } from "node:test";
import fc from "fast-check";
import { seed } from "@skerry/testkit/seed";
import { anyScenario, playMigration } from "../controllers/migration-scenario.ts";
import { openScratchStore } from "../fakes/scratch-store.ts";

const runs = Number(process.env["SKERRY_TEST_RUNS"] ?? 2000);

test("thousands of cold migrations never run two copies, whatever is killed, cut or rebooted when", async (t) => {
  t.diagnostic(`seed ${seed}, ${runs} runs (SKERRY_TEST_SEED, SKERRY_TEST_RUNS)`);
  await using scratch = await openScratchStore(() => Date.now());
  const endings = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(anyScenario, async (scenario) => {
      const { state, owner } = await playMigration(scratch.store, scenario);
      const ending = `${state} at ${owner === 0 ? "source" : "target"}`;
      endings.set(ending, (endings.get(ending) ?? 0) + 1);
    }),
    { numRuns: runs, seed },
  );
  t.diagnostic([...endings].map(([ending, count]) => `${ending}: ${count}`).join(", "));
});
