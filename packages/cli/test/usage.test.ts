import assert from "node:assert/strict";
import { test } from "node:test";
import { usageCsv } from "../src/commands/usage.ts";

test("usage as CSV has a line for each project and site, exact amounts, and nothing where no price is known", () => {
  const line = {
    ...{ project: "web", site: "cadiz", vcpuSeconds: "3600.000", memoryMiBSeconds: "7.250" },
    ...{ storageMiBSeconds: "0.000", addressSeconds: "1.001", gpuSeconds: "7200.000" },
  };
  const cost = {
    ...{ currency: "EUR", vcpus: "0.010000", memory: "0.000001", storage: "0.000000", addresses: "0.000000" },
    ...{ gpus: "2.500000", total: "2.510001" },
  };
  const until = "2026-12-01T00:00:00.000Z";
  assert.equal(
    usageCsv({
      month: "2026-11",
      until,
      lines: [
        { ...line, cost },
        { ...line, site: "porto" },
      ],
      totals: [],
    }),
    [
      "month,until,project,site,vcpuSeconds,memoryMiBSeconds,storageMiBSeconds,addressSeconds,gpuSeconds," +
        "currency,vcpuCost,memoryCost,storageCost,addressCost,gpuCost,totalCost",
      `2026-11,${until},web,cadiz,3600.000,7.250,0.000,1.001,7200.000,EUR,0.010000,0.000001,0.000000,0.000000,2.500000,2.510001`,
      `2026-11,${until},web,porto,3600.000,7.250,0.000,1.001,7200.000,,,,,,,`,
      "",
    ].join("\r\n"),
  );
});
