import { pricedItems, type PriceList } from "@skerry/model";
import type { View } from "@skerry/store";
import { SiteAmounts, type Rates } from "./amounts.ts";
import { spanOfMonth } from "./month.ts";
import { costOf, millionths, moneyWords, pricesFor } from "./usage-report.ts";

/** What a whole month of something costs at a site, exact to a millionth; what the list has no price for is left out and told. */
export interface SiteCost {
  readonly currency: string;
  readonly total: string;
  readonly unpriced: readonly (typeof pricedItems)[number][];
}

/** The same as a usage report of a month in which it was there all the time; undefined where the site has no price list for it. */
export function monthlyCost(view: View, site: string, rates: Rates, month: string): SiteCost | undefined {
  const prices = pricesFor(view, site, month);
  if (prices === undefined) return undefined;
  const span = spanOfMonth(month);
  const sites = new SiteAmounts();
  sites.add(site, rates, span.endMs - span.startMs);
  const amounts = sites.sites.get(site);
  if (amounts === undefined) throw new Error("what was added is there");
  const { total } = costOf(amounts, prices, span);
  const unpriced = pricedItems.filter((item) => amountOf[item](rates) > 0 && priceOf[item](prices) === undefined);
  return { currency: prices.currency, total: moneyWords(total), unpriced };
}

const amountOf = {
  vcpus: ({ vcpus }: Rates) => vcpus,
  memory: ({ memoryMiB }: Rates) => memoryMiB,
  storage: ({ storageMiB }: Rates) => storageMiB,
  addresses: ({ addresses }: Rates) => addresses,
  gpus: ({ gpus }: Rates) => gpus,
} as const;

const priceOf = {
  vcpus: ({ vcpuHour }: PriceList) => vcpuHour,
  memory: ({ memoryGiBHour }: PriceList) => memoryGiBHour,
  storage: ({ storageGiBMonth }: PriceList) => storageGiBMonth,
  addresses: ({ addressHour }: PriceList) => addressHour,
  gpus: ({ gpuHour }: PriceList) => gpuHour,
} as const;

/** One exact amount less another. */
export function less(one: string, other: string): string {
  return moneyWords(millionths(one) - millionths(other));
}

/** Whether one exact amount is below another. */
export function isBelow(one: string, other: string): boolean {
  return millionths(one) < millionths(other);
}
