import type { InstanceResource, PriceList, UsageLine, UsageReport, VolumeResource } from "@skerry/model";
import type { View } from "@skerry/store";
import { timestamp } from "../../operations/clock.ts";
import { SiteAmounts, ratesOf, sinceMsOf, type Amounts } from "./amounts.ts";
import { meterName } from "./metering.ts";
import { monthOf, overlapMs, spanOfMonth, type Span } from "./month.ts";

/** What a project had at each site in a month until now, from its meter and from what is there: costs what it has. */
export function usageOfProject(
  view: View,
  project: { readonly name: string; readonly id: string },
  month: string,
  nowMs: number,
): SiteAmounts {
  const sites = new SiteAmounts();
  const meter = view.get("Meter", { project: project.name, name: meterName(month, project.id) });
  for (const site of meter?.status.sites ?? []) sites.addMetered(site);
  const span = reportedSpan(month, nowMs);
  const objects: readonly (InstanceResource | VolumeResource)[] = [
    ...view.list("Instance", project.name),
    ...view.list("Volume", project.name),
  ];
  for (const object of objects) {
    const ms = overlapMs({ startMs: sinceMsOf(object), endMs: span.endMs }, span);
    const site =
      ms === 0 || object.assignment === undefined
        ? undefined
        : view.getById("Node", object.assignment.nodeId)?.spec.site;
    if (site !== undefined) sites.add(site, ratesOf(object), ms);
  }
  return sites;
}

function reportedSpan(month: string, nowMs: number): Span {
  const { startMs, endMs } = spanOfMonth(month);
  return { startMs, endMs: Math.max(startMs, Math.min(endMs, nowMs)) };
}

/** The lines of one project, each with its cost by the price list that the site has for the month now. */
export function usageLines(view: View, project: string, sites: SiteAmounts, month: string): readonly UsageLine[] {
  return sites.entries().map(([site, amounts]) => {
    const prices = pricesFor(view, site, month);
    return {
      project,
      site,
      vcpuSeconds: decimalOf(amounts.vcpuMs, 3),
      memoryMiBSeconds: decimalOf(amounts.memoryMiBMs, 3),
      storageMiBSeconds: decimalOf(amounts.storageMiBMs, 3),
      addressSeconds: decimalOf(amounts.addressMs, 3),
      gpuSeconds: decimalOf(amounts.gpuMs, 3),
      ...(prices === undefined
        ? {}
        : { cost: costWords(costOf(amounts, prices, spanOfMonth(month)), prices.currency) }),
    };
  });
}

export function reportOf(month: string, nowMs: number, lines: readonly UsageLine[]): UsageReport {
  const totals = new Map<string, bigint>();
  for (const { cost } of lines) {
    if (cost === undefined) continue;
    totals.set(cost.currency, (totals.get(cost.currency) ?? 0n) + scaled(cost.total, costDigits));
  }
  return {
    month,
    until: timestamp(reportedSpan(month, nowMs).endMs),
    lines: [...lines],
    totals: [...totals]
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([currency, total]) => ({ currency, total: decimalOf(total, costDigits) })),
  };
}

/** What amounts cost, in millionths: in one currency, and in all others together. */
export interface Costs {
  readonly own: bigint;
  readonly others: bigint;
}

/** As the report of the month says it, rounded alike; what has no price costs nothing. */
export function costsOf(view: View, sites: SiteAmounts, month: Span, currency: string): Costs {
  let [own, others] = [0n, 0n];
  for (const [site, amounts] of sites.entries()) {
    const prices = pricesFor(view, site, monthOf(month.startMs));
    if (prices === undefined) continue;
    const { total } = costOf(amounts, prices, month);
    if (prices.currency === currency) own += total;
    else others += total;
  }
  return { own, others };
}

/** `12.5` as millionths. */
export function millionths(decimal: string): bigint {
  return scaled(decimal, costDigits);
}

export function moneyWords(amount: bigint): string {
  return decimalOf(amount, costDigits);
}

/** The one with the last month that is not after it. */
export function pricesFor(view: View, site: string, month: string): PriceList | undefined {
  const lists = view.get("Site", { name: site })?.spec.prices ?? [];
  return lists
    .filter(({ from }) => from <= month)
    .toSorted((one, other) => (one.from < other.from ? -1 : 1))
    .at(-1);
}

const costDigits = 6;
const priceDigits = 9;
const hourMs = 3_600_000n;
const mebibytes = 1024n;

type Cost = Readonly<Record<"vcpus" | "memory" | "storage" | "addresses" | "gpus" | "total", bigint>>;

export function costOf(amounts: Readonly<Amounts>, prices: PriceList, month: Span): Cost {
  const monthMs = BigInt(month.endMs - month.startMs);
  const vcpus = priced(amounts.vcpuMs, prices.vcpuHour, hourMs);
  const memory = priced(amounts.memoryMiBMs, prices.memoryGiBHour, hourMs * mebibytes);
  const storage = priced(amounts.storageMiBMs, prices.storageGiBMonth, monthMs * mebibytes);
  const addresses = priced(amounts.addressMs, prices.addressHour, hourMs);
  const gpus = amounts.gpuMs === 0n ? 0n : priced(amounts.gpuMs, prices.gpuHour, hourMs);
  return { vcpus, memory, storage, addresses, gpus, total: vcpus + memory + storage + addresses + gpus };
}

function costWords(cost: Cost, currency: string): NonNullable<UsageLine["cost"]> {
  return {
    currency,
    vcpus: moneyWords(cost.vcpus),
    memory: moneyWords(cost.memory),
    storage: moneyWords(cost.storage),
    addresses: moneyWords(cost.addresses),
    gpus: moneyWords(cost.gpus),
    total: moneyWords(cost.total),
  };
}

/** In millionths, rounded half up; `unit` is what one price is for. */
function priced(amount: bigint, price: string | undefined, unit: bigint): bigint {
  if (price === undefined) return 0n;
  const numerator = amount * scaled(price, priceDigits) * 10n ** BigInt(costDigits);
  const denominator = unit * 10n ** BigInt(priceDigits);
  const doubled = 2n * numerator + denominator;
  const quotient = doubled / (2n * denominator);
  return doubled < 0n && doubled % (2n * denominator) !== 0n ? quotient - 1n : quotient;
}

/** `1.25` with three digits is 1250. */
function scaled(decimal: string, digits: number): bigint {
  const [whole = "0", fraction = ""] = decimal.replace("-", "").split(".");
  const value = BigInt(whole + fraction.padEnd(digits, "0").slice(0, digits));
  return decimal.startsWith("-") ? -value : value;
}

function decimalOf(value: bigint, digits: number): string {
  const text = String(value < 0n ? -value : value).padStart(digits + 1, "0");
  return `${value < 0n ? "-" : ""}${text.slice(0, -digits)}.${text.slice(-digits)}`;
}
