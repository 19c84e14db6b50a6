import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { PriceList, UsageLine } from "@skerry/model";
import { openScratchStore } from "../fakes/scratch-store.ts";
import { draft } from "../api/api-harness.ts";
import { SiteAmounts } from "../../src/controllers/metering/amounts.ts";
import { monthsOf, spanOfMonth } from "../../src/controllers/metering/month.ts";
import { reportOf, usageLines } from "../../src/controllers/metering/usage-report.ts";

const hourMs = 3_600_000;

describe("calendar months", () => {
  test("split a span at midnight in UTC of each month's first day, leap years and year ends too", () => {
    const [startMs, endMs] = [Date.parse("2027-12-31T23:00:00Z"), Date.parse("2028-03-01T00:00:01Z")];
    assert.deepEqual(
      [...monthsOf({ startMs, endMs })],
      [
        { month: "2027-12", ms: hourMs },
        { month: "2028-01", ms: 31 * 24 * hourMs },
        { month: "2028-02", ms: 29 * 24 * hourMs },
        { month: "2028-03", ms: 1000 },
      ],
    );
    assert.deepEqual([...monthsOf({ startMs: endMs, endMs: startMs })], []);
    assert.equal(spanOfMonth("0001-12").endMs, new Date(0).setUTCFullYear(2, 0, 1));
  });
});

describe("what usage costs", () => {
  const list = (from: string, prices: Partial<PriceList>): PriceList => ({ from, currency: "EUR", ...prices });
  const linesFor = async (prices: readonly PriceList[], month: string, amounts: SiteAmounts) => {
    await using scratch = await openScratchStore(Date.now);
    const spec = { provider: "p", country: "ES", latitude: 0, longitude: 0, tier: "cloud" } as const;
    await scratch.store.transact((tx) =>
      tx.put(draft("Site", { name: "cadiz" }, { ...spec, prices: [...prices] }, {})),
    );
    return usageLines(scratch.store, "web", amounts, month);
  };
  const used = (vcpus: number, memoryMiB: number, storageMiB: number, addresses: number, ms: number): SiteAmounts => {
    const amounts = new SiteAmounts();
    amounts.add("cadiz", { vcpus, memoryMiB, storageMiB, addresses, gpus: 0 }, ms);
    return amounts;
  };
  const all = { vcpuHour: "0.01", memoryGiBHour: "0.005", storageGiBMonth: "0.1", addressHour: "0.001" };

  test("is each amount by its price, a month of storage as long as the month is", async () => {
    const [line] = await linesFor([list("2026-01", all)], "2026-02", used(2, 1536, 10_240, 1, 14 * 24 * hourMs));
    assert.deepEqual(line?.cost, {
      currency: "EUR",
      vcpus: "6.720000",
      memory: "2.520000",
      storage: "0.500000",
      addresses: "0.336000",
      gpus: "0.000000",
      total: "10.076000",
    });
    assert.equal(line?.vcpuSeconds, "2419200.000");
  });

  test("of GPUs is by the hour, whatever their model, and nothing where the list has no price for them", async () => {
    const amounts = new SiteAmounts();
    amounts.add("cadiz", { vcpus: 0, memoryMiB: 0, storageMiB: 0, addresses: 0, gpus: 2 }, 90 * 60_000);
    const [line] = await linesFor([list("2026-01", { gpuHour: "1.25" })], "2026-01", amounts);
    assert.deepEqual([line?.gpuSeconds, line?.cost?.gpus, line?.cost?.total], ["10800.000", "3.750000", "3.750000"]);
    const [unpriced] = await linesFor([list("2026-01", { vcpuHour: "1" })], "2026-01", amounts);
    assert.equal(unpriced?.cost?.total, "0.000000");
  });

  test("is exact for amounts that a number could not hold, and rounds half up at the sixth digit", async () => {
    const huge = used(1_000_000, 2 ** 40, 0, 0, 31 * 24 * hourMs + 1);
    const [line] = await linesFor([list("2026-01", { vcpuHour: "0.000000001" })], "2026-01", huge);
    assert.equal(
      line?.memoryMiBSeconds,
      `${(2n ** 40n * 2_678_400_001n) / 1000n}.${String((2n ** 40n * 2_678_400_001n) % 1000n).padStart(3, "0")}`,
    );
    assert.equal(line?.cost?.vcpus, "0.744000");
    const [half] = await linesFor([list("2026-01", { vcpuHour: "0.0000005" })], "2026-01", used(1, 0, 0, 0, hourMs));
    assert.equal(half?.cost?.total, "0.000001");
  });

  test("goes by the list of the month that is asked for; without one it is not said", async () => {
    const lists = [list("2026-03", { vcpuHour: "3" }), list("2026-01", { vcpuHour: "1" })];
    const costOf = async (month: string) => (await linesFor(lists, month, used(1, 0, 0, 0, hourMs)))[0]?.cost?.vcpus;
    assert.deepEqual(
      [await costOf("2025-12"), await costOf("2026-02"), await costOf("2026-03"), await costOf("2027-01")],
      [undefined, "1.000000", "3.000000", "3.000000"],
    );
  });

  test("adds up, for each currency, to what the lines say", () => {
    const cost = (currency: string, total: string) => ({
      currency,
      total,
      vcpus: total,
      memory: "0.0",
      storage: "0.0",
      addresses: "0.0",
      gpus: "0.0",
    });
    const line: UsageLine = {
      ...{ project: "web", site: "cadiz", vcpuSeconds: "1.0", memoryMiBSeconds: "1.0" },
      ...{ storageMiBSeconds: "1.0", addressSeconds: "1.0", gpuSeconds: "0.0" },
    };
    const lines = [cost("EUR", "1.000001"), cost("SEK", "5.500000"), cost("EUR", "0.999999")];
    const report = reportOf("2026-01", Date.parse("2026-01-15T00:00:00Z"), [
      line,
      ...lines.map((one) => ({ ...line, cost: one })),
    ]);
    assert.deepEqual(report.totals, [
      { currency: "EUR", total: "2.000000" },
      { currency: "SEK", total: "5.500000" },
    ]);
    assert.equal(report.until, "2026-01-15T00:00:00.000Z");
    assert.equal(reportOf("2026-01", Date.now() + 1e12, []).until, "2026-02-01T00:00:00.000Z");
  });
});
