import assert from "node:assert/strict";
import { test } from "node:test";
import { RequestLimits } from "../../src/limits/request-limits.ts";
import { ManualClock } from "../fakes/manual-clock.ts";

test("what is refused by one limit is taken from none", () => {
  const perSecond = 1;
  const limits = new RequestLimits(new ManualClock(), {
    project: { perSecond, burst: 4 },
    principal: { perSecond, burst: 4 },
  });
  const held = { organisation: { name: "acme", rate: { perSecond, burst: 1 } } };
  limits.admitChange("ours", held);
  for (let count = 0; count < 20; count++)
    assert.throws(() => limits.admitChange("ours", held), {
      facts: { limit: "organisation", perSecond, burst: 1, retryAfterSeconds: 1 },
    });
  limits.admitChange("ours", {}, 3);
  assert.throws(() => limits.admitChange("ours", {}), { code: "too-many-requests" });
});
