import assert from "node:assert/strict";
import { test } from "node:test";
import { SkerryError, type ErrorCode } from "@skerry/model";
import { broken, refused, type Trouble } from "../../src/operations/kinds/convoy/trouble.ts";

const nowMs = 1000;
const error = (code: ErrorCode, facts: Readonly<Record<string, unknown>> = {}) =>
  new SkerryError(code, code, { facts });

function after(times: number, one: (before: Trouble | undefined) => Trouble): Trouble {
  let trouble = one(undefined);
  for (let time = 1; time < times; time++) trouble = one(trouble);
  return trouble;
}

test("what stands in the way for good is told from what passes, and is tried ever more rarely", () => {
  const cases: readonly (readonly [SkerryError, number, boolean, number])[] = [
    [error("no-placement"), 1, true, 5000],
    [error("no-placement"), 10, true, 60_000],
    [error("busy"), 100, false, 30_000],
    [error("disruption-budget", { moving: 0 }), 2, false, 10_000],
    [error("disruption-budget", { moving: 0 }), 3, true, 15_000],
    [error("disruption-budget", { moving: 1 }), 100, false, 15_000],
    [error("conflict"), 2, false, 10_000],
    [error("conflict"), 3, true, 20_000],
  ];
  for (const [why, times, isLasting, waitMs] of cases) {
    const trouble = after(times, (before) => refused(why, before, nowMs));
    assert.deepEqual([trouble.isLasting, trouble.againMs - nowMs], [isLasting, waitMs], `${why.code} ${times} times`);
  }
});

test("what is ruled out for a while keeps nothing for good, nor does a disk that is still being made", () => {
  const avoiding = after(10, (before) => refused(error("no-placement"), before, nowMs, true));
  const failed = broken("The guest failed.", "n1", undefined, nowMs);
  const cornered = after(10, (before) => refused(error("no-placement"), before ?? failed, nowMs, true));
  const preparing = after(10, (before) => refused(error("conflict", { preparing: true }), before, nowMs));
  assert.deepEqual(
    [avoiding, cornered, preparing].map(({ isLasting }) => isLasting),
    [false, false, false],
  );
  assert.equal(preparing.againMs - nowMs, 30_000);
  assert.equal(after(3, (before) => refused(error("conflict", { preparing: false }), before, nowMs)).isLasting, true);
});

test("a move that failed is tried at other nodes, and where there are none at the same, with what it failed at", () => {
  const once = broken("The guest failed.", "n1", undefined, nowMs);
  const twice = broken("The guest failed again.", "n2", once, nowMs);
  assert.deepEqual([once.avoid, twice.avoid, twice.againMs - nowMs], [["n1"], ["n1", "n2"], 60_000]);
  const cornered = refused(error("no-placement"), twice, nowMs);
  assert.deepEqual([cornered.avoid, cornered.why, cornered.isLasting], [[], "The guest failed again.", true]);
  assert.equal(once.isLasting, false);
});
