import type { CostEffect, MonthlyCost } from "@skerry/model";
import { tableLines, type Column } from "./table.ts";

const unknown = "unknown";

/** What a plan means for a month's cost, a line for each thing, and the sum of what is known by currency. */
export function costLines(cost: readonly CostEffect[]): string[] {
  const [first] = cost;
  if (first === undefined) return [];
  const columns: readonly Column<CostEffect>[] = [
    {
      title: `COST OF A MONTH (${first.month})`,
      cell: ({ kind, project, name }) => `${kind.toLowerCase()} ${project}/${name}`,
    },
    { title: "BEFORE", align: "right", cell: ({ before }) => amountOf(before) },
    { title: "AFTER", align: "right", cell: ({ after }) => amountOf(after) },
    { title: "DIFFERENCE", align: "right", cell: ({ difference }) => signed(difference) },
    { title: "AT", cell: placeOf },
  ];
  const rows = tableLines(columns, cost).map((line) => `  ${line}`);
  return [...rows, `  difference in all: ${totalOf(cost)}`];
}

function amountOf(cost: MonthlyCost | undefined): string {
  if (cost === undefined) return "-";
  return cost.cost === undefined ? unknown : `${cost.cost.total} ${cost.cost.currency}`;
}

function signed(amount: CostEffect["difference"]): string {
  if (amount === undefined) return unknown;
  return `${amount.total.startsWith("-") ? "" : "+"}${amount.total} ${amount.currency}`;
}

/** `madrid as things are now; 3 sites allow it: 10.0 to 20.0 EUR`, and what the price list leaves open. */
function placeOf({ before, after }: CostEffect): string {
  const cost = after ?? before;
  if (cost === undefined) return "-";
  const { site = "no site", place, unpriced = [], range } = cost;
  const moved = before?.site !== undefined && after?.site !== undefined && before.site !== after.site;
  const unlisted = [before, after].flatMap((one) =>
    one?.site !== undefined && one.cost === undefined ? [one.site] : [],
  );
  const at = moved ? `${before.site} -> ${site}` : site;
  const also = [
    ...(range === undefined ? [] : [rangeWords(range)]),
    ...(unpriced.length === 0 ? [] : [`no price for ${unpriced.join(", ")}`]),
    ...unlisted.map((name) => `no price list at ${name}`),
  ];
  return [place === "foreseen" ? `${at} as things are now` : at, ...also].join("; ");
}

function rangeWords({ sites, unknown: unpriced, costs }: NonNullable<MonthlyCost["range"]>): string {
  const spans = costs.map(({ currency, least, most }) =>
    least === most ? `${least} ${currency}` : `${least} to ${most} ${currency}`,
  );
  const open = unpriced === 0 ? [] : [`${unknown} at ${unpriced}`];
  return `${sites} sites allow it: ${[...spans, ...open].join(", ")}`;
}

/** In units of the last digit, so that no sum is rounded. */
function totalOf(cost: readonly CostEffect[]): string {
  const sums = new Map<string, bigint>();
  let open = 0;
  for (const { difference } of cost) {
    if (difference === undefined) open += 1;
    else
      sums.set(difference.currency, (sums.get(difference.currency) ?? 0n) + BigInt(difference.total.replace(".", "")));
  }
  const known = [...sums]
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([currency, sum]) => signed({ currency, total: decimal(sum) }));
  return [...known, ...(open === 0 ? [] : [`${unknown} for ${open}`])].join(", ");
}

function decimal(millionths: bigint): string {
  const text = String(millionths < 0n ? -millionths : millionths).padStart(7, "0");
  return `${millionths < 0n ? "-" : ""}${text.slice(0, -6)}.${text.slice(-6)}`;
}
