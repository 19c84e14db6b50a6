import assert from "node:assert/strict";
import { test } from "node:test";
import { inTurns } from "../../src/operations/kinds/convoy/fair-order.ts";

const groupOf = (word: string): string => word.slice(0, 1);

test("groups take turns, each in its own order, and whoever had theirs before waits", () => {
  const words = ["a1", "a2", "a3", "b1", "c1", "c2"];
  assert.deepEqual(inTurns(words, groupOf), ["a1", "b1", "c1", "a2", "c2", "a3"]);
  const before = new Map([
    ["a", 2],
    ["c", 1],
  ]);
  assert.deepEqual(inTurns(words, groupOf, before), ["b1", "c1", "a1", "c2", "a2", "a3"]);
  assert.deepEqual(inTurns([], groupOf), []);
});
