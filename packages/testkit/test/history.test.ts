import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { judge, type Attempt, type LoggedChange, type Read } from "@skerry/testkit";

const log: readonly LoggedChange[] = [
  { revision: 1, register: "a", id: "one" },
  { revision: 2, register: "a", id: "two" },
];
const attempt = (id: string, outcome: Attempt["outcome"], revision?: number, startedMs = 0, endedMs = 9): Attempt => ({
  id,
  register: "a",
  outcome,
  startedMs,
  endedMs,
  ...(revision === undefined ? {} : { revision }),
});
const attempts = [attempt("one", "made", 1, 0, 1), attempt("two", "made", 2, 2, 3)];
const read = (id: string | undefined, revision: number, atLeast = 0): Read => ({
  register: "a",
  id,
  revision,
  atLeast,
});

describe("the judge of histories", () => {
  test("finds nothing in a history that a correct store gives, whatever became of what was left open", () => {
    const open = [...attempts, attempt("three", "unknown"), attempt("four", "refused")];
    for (const story of [log, [...log, { revision: 3, register: "a", id: "three" }]]) {
      const verdict = judge(open, [read("one", 1), read("two", 2, 2), read(undefined, 0)], story);
      assert.deepEqual(verdict, { acknowledged: 2, lost: [], appliedTwice: [], contradictions: [] });
    }
  });

  test("binds by the log's revision who was acknowledged without being told of one", () => {
    const late = [attempt("one", "made", undefined, 0, 1), attempt("two", "made", 2, 2, 3)];
    assert.deepEqual(judge(late, [], log), { acknowledged: 2, lost: [], appliedTwice: [], contradictions: [] });
    assert.deepEqual(judge(late, [], log.slice(1)).lost, ["one"]);
    const early = [attempt("one", "made", undefined, 5, 6), attempt("two", "made", 2, 0, 1)];
    assert.match(judge(early, [], log).contradictions.join(), /one began after two/);
  });

  test("finds an acknowledged change that is gone, and one that was made twice", () => {
    assert.deepEqual(judge(attempts, [], log.slice(0, 1)).lost, ["two"]);
    assert.deepEqual(judge(attempts, [], [...log, { revision: 3, register: "a", id: "one" }]).appliedTwice, ["one"]);
  });

  for (const [what, seen, reads, story, words] of [
    [
      "a refused change that was made",
      [...attempts, attempt("x", "refused")],
      [],
      [...log, { revision: 3, register: "a", id: "x" }],
      /x was refused/,
    ],
    ["a change that nobody asked for", attempts, [], [...log, { revision: 3, register: "a", id: "x" }], /nobody asked/],
    [
      "another revision than was acknowledged",
      [attempt("one", "made", 7), attempt("two", "made", 2)],
      [],
      log,
      /acknowledged as revision 7/,
    ],
    [
      "real time turned round",
      [attempt("one", "made", 1, 5, 6), attempt("two", "made", 2, 0, 1)],
      [],
      log,
      /one began after two/,
    ],
    ["a log that steps back", attempts, [], log.toReversed(), /revision 1 comes after 2/],
    ["a read of what never was", attempts, [read("x", 1)], log, /does not have/],
    ["a read older than what was asked for", attempts, [read("one", 1, 2)], log, /at 2 or newer showed one/],
  ] as const) {
    test(`finds ${what}`, () => {
      assert.match(judge(seen, reads, story).contradictions.join("\n"), words);
    });
  }
});
