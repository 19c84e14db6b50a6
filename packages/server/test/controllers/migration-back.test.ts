import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Store } from "@skerry/store";
import { seed } from "@skerry/testkit/seed";
import { useScratchStore } from "../fakes/scratch-store.ts";
import { playJourney, type Leg } from "./migration-journey.ts";
import { incident, type Incident } from "./migration-scenario.ts";

const runs = Number(process.env["SKERRY_TEST_RUNS"] ?? 15);

describe("a move back onto a node that holds an old copy of the disk", () => {
  let store: Store;
  useScratchStore((opened) => (store = opened));

  const work = (...nodes: readonly (0 | 1)[]): Incident[] => nodes.map((node) => ({ kind: "work", node }));
  const cut = (node: 0 | 1): Incident => ({ kind: "cut", node });
  /** Ten minutes and more each, in which only this node is there. */
  const waiting = (node: 0 | 1, times: number): Incident[] =>
    Array.from({ length: times }, (): Incident[] => [{ kind: "long-tick" }, ...work(node)]).flat();
  const calm: Leg = { incidents: [], sickTarget: false };

  /** Both moves' ends, as far as these tests care. */
  async function moveTwice(first: Leg): Promise<readonly unknown[]> {
    const [one, two] = await playJourney(store, [first, calm]);
    const back = two?.owner === one?.owner ? "stays" : "moves";
    return [one?.state, one?.copyElsewhere, two?.refused, two?.state, back, two?.copyElsewhere];
  }

  test("is refused while the target that was lost with a whole copy may still have it, and takes the newest data", async () => {
    const pull: Incident = { kind: "act", node: 1, pick: 0 };
    const pullsUnseen: Incident[] = [{ kind: "deliver", node: 1 }, pull, pull, pull, cut(1)];
    const first = { incidents: [...work(0, 0, 0), ...pullsUnseen, ...waiting(0, 3)], sickTarget: false };
    assert.deepEqual(await moveTwice(first), ["failed", true, "conflict", "succeeded", "moves", false]);
  });

  test("is refused while the source that was away at the release may still have it, and takes the newest data", async () => {
    const first = { incidents: [...work(0, 0, 0, 1, 1), cut(0), ...waiting(1, 2)], sickTarget: false };
    assert.deepEqual(await moveTwice(first), ["succeeded", true, "conflict", "succeeded", "moves", false]);
  });

  test("replaces a copy that a failed move left on hold by the newest data", async () => {
    const lost: Incident[] = [...work(0, 0, 0, 1, 1), cut(1), ...waiting(0, 6)];
    const first = { incidents: [...lost, { kind: "link", node: 1 } as const], sickTarget: true };
    assert.deepEqual(await moveTwice(first), ["failed", true, undefined, "succeeded", "moves", false]);
  });

  test("never runs two copies, loses data or leaves anything, whatever happens in three moves in a row", async (t) => {
    t.diagnostic(`seed ${seed}, ${runs} runs (SKERRY_TEST_SEED, SKERRY_TEST_RUNS)`);
    const leg = fc.record({
      incidents: fc.tuple(fc.nat({ max: 5 }), fc.array(incident, { maxLength: 30 })),
      sickTarget: fc.boolean(),
    });
    const legs = fc.array(
      leg.map(({ incidents: [rounds, trouble], sickTarget }): Leg => {
        const smooth = Array.from({ length: rounds }, () => work(0, 1)).flat();
        return { incidents: [...smooth, ...trouble], sickTarget };
      }),
      { minLength: 3, maxLength: 3 },
    );
    const seen = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(legs, async (journey) => {
        for (const { state, refused } of await playJourney(store, journey)) {
          const ending = `${state}${refused === undefined ? "" : ` after ${refused}`}`;
          seen.set(ending, (seen.get(ending) ?? 0) + 1);
        }
      }),
      { numRuns: runs, seed },
    );
    t.diagnostic([...seen].map(([ending, count]) => `${ending}: ${count}`).join(", "));
  });
});
