import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toLimits } from "../src/commands/server-limits.ts";

describe("the limits that a server is started with", () => {
  test("are rates with what may come at once, and counts, each given by itself", () => {
    const limits = ["principal=50:200", "project=10", "streams=5", "project=20"].reduce(
      (others, text) => toLimits(text, others),
      {},
    );
    assert.deepEqual(limits, {
      principal: { perSecond: 50, burst: 200 },
      project: { perSecond: 20, burst: 100 },
      streams: 5,
    });
  });

  test("are refused where they mean nothing", () => {
    for (const text of [
      "",
      "principal",
      "principal=0",
      "principal=5:0",
      "streams=5:10",
      "other=1",
      "project=-1",
      "project=1e3",
    ])
      assert.throws(() => toLimits(text), /NAME=PER_SECOND/, text);
  });
});
