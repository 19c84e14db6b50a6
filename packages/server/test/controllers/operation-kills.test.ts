import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Store } from "@skerry/store";
import { seed } from "@skerry/testkit/seed";
import { useScratchStore } from "../fakes/scratch-store.ts";
import { dueEnding, registeredKinds, targetsOf, troublesOf, victimsOf, type Target } from "./operation-kills.ts";
import { isOwnMoment, nameOf, placesOf, type Point } from "./operation-moments.ts";
import { describePlay, playOperation, type Trouble } from "./operation-play.ts";
import { scenarios } from "./operation-scenarios.ts";

const minuteMs = 60_000;
/** Before the record, with the record made and in the middle of the step, and after it without a record of that. */
const points: readonly Point[] = ["before its record", "recorded", "done, not recorded"];

/* A few of what test/nightly plays in full: each step of each kind, forwards and backwards, with a death of each sort. */
describe("every registered operation", () => {
  let store: Store;
  useScratchStore((opened) => (store = opened));

  test("has a scenario by which it is killed", () => {
    assert.deepEqual(Object.keys(scenarios).sort(), registeredKinds.map(({ type }) => type).sort());
  });

  for (const kind of registeredKinds) {
    test(`${kind.type} ends and leaves nothing, wherever the server, an agent or a host is killed`, async (t) => {
      t.diagnostic(`seed ${seed} (SKERRY_TEST_SEED)`);
      const scenario = scenarios[kind.type];
      assert.ok(scenario !== undefined, `there is no scenario for ${kind.type}`);
      const targets: { readonly trouble: Trouble; readonly target: Target }[] = [];
      for (const trouble of troublesOf(kind, scenario)) {
        const play = await playOperation(store, kind, scenario, trouble);
        if (trouble.kind !== "fault")
          assert.ok(
            play.tookMs < 5 * minuteMs,
            `${describePlay(kind, trouble)} took ${play.tookMs} ms ${JSON.stringify(play.operation.status)}`,
          );
        targets.push(...targetsOf(play, 3).map((target) => ({ trouble, target })));
      }
      const victims = victimsOf(scenario);
      let choice = seed;
      const oneOf = <T>(values: readonly T[]): T | undefined =>
        fc.sample(fc.constantFrom(...values), { seed: ++choice, numRuns: 1 })[0];
      for (const place of placesOf(kind)) {
        const here = targets.filter(({ target }) => target.places.includes(`${place.way} ${place.step}`));
        for (const point of points.filter((candidate) => isOwnMoment(placesOf(kind), { ...place, point: candidate })))
          assert.ok(
            here.some(({ target }) => target.name.includes(nameOf({ ...place, point }))),
            `no play of ${kind.type} comes to ${nameOf({ ...place, point })}`,
          );
        const plain = here.filter(({ trouble }) => trouble.kind === "none");
        const unrecorded = (plain.length > 0 ? plain : here).filter(({ target }) =>
          target.name.includes(nameOf({ ...place, point: "done, not recorded" })),
        );
        // A step that has been done and is done again, where nothing else is wrong; then any two deaths.
        const choices = [
          { isServer: true, among: unrecorded },
          { isServer: true, among: here },
          { isServer: false, among: here },
        ];
        for (const { isServer, among } of choices) {
          // Which moments there are besides the records may differ from one play to another: then another is chosen.
          let came = false;
          for (let tries = 0; tries < 4 && !came; tries++) {
            const chosen = oneOf(among);
            const victim = oneOf(victims.filter((candidate) => (candidate.kind === "server") === isServer));
            assert.ok(chosen !== undefined && victim !== undefined);
            const { trouble, target } = chosen;
            const kill = { ...target, victim };
            came = (await playOperation(store, kind, scenario, trouble, kill, dueEnding(trouble, victim))).killed;
          }
          assert.ok(came, `no moment of ${place.way} ${place.step} came`);
        }
      }
    });
  }
});
