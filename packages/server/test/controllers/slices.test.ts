import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Steps } from "@skerry/placement";
import { Slices } from "../../src/controllers/explaining/slices.ts";

describe("work in slices", () => {
  const begun: string[] = [];
  function* noting(name: string): Steps<string> {
    begun.push(name);
    yield;
    return name;
  }
  const never = new AbortController().signal;

  test("has all who wait take turns, however much one of them asks", async () => {
    begun.length = 0;
    const slices = new Slices();
    const all = ["a1", "a2", "a3", "a4", "b1", "b2", "c1"].map((name) =>
      slices.run(name.slice(0, 1), () => noting(name), never),
    );
    assert.deepEqual(await Promise.all(all), ["a1", "a2", "a3", "a4", "b1", "b2", "c1"]);
    assert.deepEqual(begun, ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]);
  });

  test("is not begun, and not gone on with, for whom is gone; others have theirs", async () => {
    begun.length = 0;
    const slices = new Slices();
    const gone = new AbortController();
    let steps = 0;
    function* endless(): Steps<never> {
      for (;;) {
        if (++steps === 3) gone.abort(new Error("gone"));
        yield;
      }
    }
    const first = slices.run("a", endless, gone.signal);
    const waiting = slices.run("b", () => noting("b"), gone.signal);
    const other = slices.run("c", () => noting("c"), never);
    await assert.rejects(waiting, /gone/);
    await assert.rejects(first, /gone/);
    assert.equal(await other, "c");
    assert.deepEqual([begun, steps], [["c"], 3]);
    await assert.rejects(
      slices.run("a", () => noting("late"), gone.signal),
      /gone/,
    );
    assert.equal(await slices.run("a", () => noting("next"), never), "next");
    assert.deepEqual(begun, ["c", "next"]);
  });

  test("that fails keeps nobody from theirs", async () => {
    const slices = new Slices();
    const fails = slices.run(
      "a",
      () => {
        throw new Error("no such thing");
      },
      never,
    );
    const next = slices.run("a", () => noting("a"), never);
    await assert.rejects(fails, /no such thing/);
    assert.equal(await next, "a");
  });
});
