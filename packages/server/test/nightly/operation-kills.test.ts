import assert from "node:assert/strict";
import { test } from "node:test";
import { dueEnding, registeredKinds, targetsOf, troublesOf, victimsOf } from "../controllers/operation-kills.ts";
import { describePlay, playOperation } from "../controllers/operation-play.ts";
import { scenarios } from "../controllers/operation-scenarios.ts";
import { openScratchStore } from "../fakes/scratch-store.ts";

/** Plays only every so many of all deaths, where there is less time. */
const every = Number(process.env["SKERRY_TEST_EVERY"] ?? 1);
/** Of the moments at which a step only goes on waiting. */
const mostOfAName = 3;

for (const kind of registeredKinds) {
  test(`${kind.type} ends and leaves nothing, whatever is killed at any moment of any step, also when it is taken back`, async (t) => {
    await using scratch = await openScratchStore(() => Date.now());
    const scenario = scenarios[kind.type];
    assert.ok(scenario !== undefined, `there is no scenario for ${kind.type}`);
    const endings = new Map<string, number>();
    const wrong: string[] = [];
    let deaths = 0;
    for (const trouble of troublesOf(kind, scenario)) {
      const calm = await playOperation(scratch.store, kind, scenario, trouble);
      for (const target of targetsOf(calm, mostOfAName)) {
        for (const victim of victimsOf(scenario)) {
          if (deaths++ % every !== 0) continue;
          const kill = { ...target, victim };
          try {
            const due = dueEnding(trouble, victim);
            const { operation, killed } = await playOperation(scratch.store, kind, scenario, trouble, kill, due);
            const ending = killed ? operation.status.state : "not killed";
            endings.set(ending, (endings.get(ending) ?? 0) + 1);
          } catch (error) {
            wrong.push(error instanceof Error ? error.message : describePlay(kind, trouble, kill));
          }
        }
      }
    }
    t.diagnostic([...endings].map(([ending, count]) => `${ending}: ${count}`).join(", "));
    assert.deepEqual(wrong, [], `${wrong.length} went wrong`);
    // How often a step is seen to wait may differ from one play to another.
    const all = [...endings.values()].reduce((sum, count) => sum + count, 0);
    assert.ok((endings.get("not killed") ?? 0) <= all / 20);
  });
}
