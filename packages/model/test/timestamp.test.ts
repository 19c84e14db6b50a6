import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { timestamp } from "../src/timestamp.ts";

describe("a moment's text", () => {
  test("is the moment's own, in whatever order moments come again", () => {
    const nowMs = Date.UTC(2026, 0, 1);
    const moments = [nowMs, nowMs + 1, nowMs + 7, nowMs + 1_800_000, nowMs + 0.5, -1, -8, 0];
    for (const ms of [...moments, ...moments.toReversed(), ...moments, nowMs, nowMs]) {
      assert.equal(timestamp(ms), new Date(ms).toISOString());
    }
  });

  test("is refused where there is no such moment", () => {
    assert.throws(() => timestamp(Number.NaN), RangeError);
  });
});
