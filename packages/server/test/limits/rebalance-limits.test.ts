import assert from "node:assert/strict";
import { test } from "node:test";
import { RequestLimits } from "../../src/limits/request-limits.ts";
import { startApi } from "../api/api-harness.ts";
import { ManualClock } from "../fakes/manual-clock.ts";

test("whoever looks for moves again and again is refused it soon, and may ask for less", async () => {
  const limits = new RequestLimits(new ManualClock(), { principal: { perSecond: 1000, burst: 2500 } });
  await using api = await startApi(() => ({ limits }));
  const path = "/api/v1/placement/rebalance";
  const wish = { objective: "balance" };
  const statuses: number[] = [];
  for (const query of ["?dryRun=true", "", "?dryRun=true", ""])
    statuses.push((await api.ask(api.admin, "POST", path + query, wish)).status);
  assert.deepEqual(statuses, [200, 200, 429, 429]);
  assert.equal((await api.ask(api.admin, "GET", "/api/v1/whoami")).status, 200);
});
