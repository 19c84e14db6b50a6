import assert from "node:assert/strict";
import { test } from "node:test";
import type { CostEffect } from "@skerry/model";
import { costLines } from "../src/output/cost-lines.ts";
import { quotaLines } from "../src/output/plan-lines.ts";

const eur = (total: string) => ({ currency: "EUR", total });
const line = (name: string, rest: Partial<CostEffect>): CostEffect => ({
  ...{ kind: "Instance", project: "shop", name, month: "2026-11" },
  ...rest,
});

test("the cost of a plan is aligned, signed and summed exactly, and what is unknown is said to be", () => {
  const range = { sites: 3, unknown: 1, costs: [{ currency: "EUR", least: "9.500000", most: "20.000000" }] };
  const lines = costLines([
    line("web", {
      after: { site: "madrid", place: "foreseen", cost: eur("12.345678"), range },
      difference: eur("12.345678"),
    }),
    line("database", {
      before: { site: "madrid", place: "settled", cost: eur("100.000000") },
      after: { site: "paris", place: "settled", cost: eur("0.100001"), unpriced: ["storage"] },
      difference: eur("-99.899999"),
    }),
    line("edge", { after: { site: "porto", place: "settled" } }),
  ]);
  assert.deepEqual(lines, [
    "  COST OF A MONTH (2026-11)          BEFORE          AFTER      DIFFERENCE  AT",
    "  instance shop/web                       -  12.345678 EUR  +12.345678 EUR  madrid as things are now; 3 sites allow it: 9.500000 to 20.000000 EUR, unknown at 1",
    "  instance shop/database     100.000000 EUR   0.100001 EUR  -99.899999 EUR  madrid -> paris; no price for storage",
    "  instance shop/edge                      -        unknown         unknown  porto; no price list at porto",
    "  difference in all: -87.554321 EUR, unknown for 1",
  ]);
  assert.deepEqual(costLines([]), []);
});

test("the quotas that a plan means something for stand under each other", () => {
  const lines = quotaLines([
    { kind: "Project", name: "shop", field: "vcpus", before: 1, after: 12, limit: 16 },
    { kind: "Organisation", name: "acme", field: "memoryMiB", before: 2048, after: 96 },
    {
      ...{ kind: "Project", name: "shop", field: "spend", month: "nextMonth", currency: "EUR" },
      ...{ before: "0.000000", after: "44.640000", limit: "250.000000" },
    },
  ]);
  assert.deepEqual(lines, [
    "  QUOTA              OF                  BEFORE      AFTER           LIMIT",
    "  project shop       vcpus                    1         12              16",
    "  organisation acme  memoryMiB             2048         96            none",
    "  project shop       spend next month  0.000000  44.640000  250.000000 EUR",
  ]);
  assert.deepEqual(quotaLines([]), []);
});
