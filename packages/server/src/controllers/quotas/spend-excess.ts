import type { Transaction } from "@skerry/store";
import type { IntentContext } from "../../intents.ts";
import { millionths, moneyWords } from "../metering/usage-report.ts";
import type { Holder, QuotaBooks } from "./quota-guard.ts";
import type { Spend } from "./spend-book.ts";

const months = ["thisMonth", "nextMonth"] as const;

/** What of spend is too much: a month's sum, or what is priced in a currency that the limit is not in. */
export interface SpendExcess {
  readonly holder: Holder;
  readonly month: (typeof months)[number];
  readonly currency: string;
  /** In millionths; undefined where it is of another currency. */
  readonly sums: { readonly used: bigint; readonly asked: bigint; readonly limit: bigint } | undefined;
}

/** Undefined where its spend is not limited. */
export function spendOf(
  { spend }: QuotaBooks,
  tx: Transaction,
  { kind, name, quota }: Holder,
  { nowMs }: Pick<IntentContext, "nowMs">,
): Spend | undefined {
  return quota.spend === undefined ? undefined : spend.of(kind, name, quota.spend.currency, tx, nowMs);
}

/** What makes neither month dearer always passes. */
export function noteSpend(excesses: SpendExcess[], holder: Holder, before: Spend, after: Spend): void {
  const { spend: quota } = holder.quota;
  if (quota === undefined) return;
  const { currency } = quota;
  const limit = millionths(quota.perMonth);
  for (const month of months) {
    const [used, asked] = [before[month].own, after[month].own - before[month].own];
    if (after[month].others > before[month].others) excesses.push({ holder, month, currency, sums: undefined });
    else if (asked > 0n && used + asked > limit)
      excesses.push({ holder, month, currency, sums: { used, asked, limit } });
    else continue;
    // Of one holder one of them is enough to know.
    return;
  }
}

const when = { thisMonth: "this month", nextMonth: "next month" } as const;

export function spendSentence({ holder, month, currency, sums }: SpendExcess): string {
  const whose = `The ${holder.kind.toLowerCase()} ${holder.name}`;
  if (sums === undefined)
    return `${whose} may spend ${currency} only, and this would be at a site with prices in another currency.`;
  const { used, asked, limit } = sums;
  return holder.isSeen()
    ? `${whose} may spend ${money(limit)} ${currency} a month and comes to ${money(used)} ${when[month]}; this asks for ${money(asked)} more.`
    : `${whose} has no ${money(asked)} ${currency} left ${when[month]} of what it may spend, which this asks for.`;
}

export function spendMessage({ holder, currency, sums }: SpendExcess): string {
  const quota = `the spend of the ${holder.kind.toLowerCase()} ${holder.name}`;
  return sums === undefined ? `is not priced in ${currency}, which limits ${quota}` : `costs more than ${quota} leaves`;
}

export function wayOutOf({ holder, currency, sums }: SpendExcess): string {
  const amount = sums !== undefined && holder.isSeen() ? money(sums.used + sums.asked) : "AMOUNT";
  return `skerry ${holder.kind.toLowerCase()} quota ${holder.name} spend=${amount}${currency}`;
}

export function spendFacts({ holder, month, currency, sums }: SpendExcess) {
  return {
    ...{ kind: holder.kind, name: holder.name, field: "spend", month, currency },
    ...(sums === undefined ? {} : { asked: moneyWords(sums.asked) }),
    ...(sums !== undefined && holder.isSeen() ? { used: moneyWords(sums.used), limit: moneyWords(sums.limit) } : {}),
  };
}

/** Without zeros that say nothing: two digits at least. */
function money(amount: bigint): string {
  return moneyWords(amount).replace(/0{1,4}$/, "");
}
