import { quotaFields, type QuotaEffect } from "@skerry/model";
import type { Transaction, View } from "@skerry/store";
import { sees } from "../authorisation/authorise.ts";
import type { Principal } from "../authorisation/principal.ts";
import { millionths, moneyWords } from "../controllers/metering/usage-report.ts";
import type { SpendBook } from "../controllers/quotas/spend-book.ts";
import type { UsageBook } from "../controllers/quotas/usage-book.ts";

export interface EffectBooks {
  readonly usage: Pick<UsageBook, "changesIn">;
  readonly spend: Pick<SpendBook, "of">;
  /** As things are without the transaction. */
  readonly store: View;
}

/**
 * What a rehearsed transaction means for quotas that the principal may see: one line for each amount that would be another, and of what
 * is limited in spend, for each month that would come to another sum. What other prices mean for what is there is not told.
 */
export function quotaEffects(
  { usage, spend, store }: EffectBooks,
  tx: Transaction,
  principal: Principal,
  nowMs: number,
): readonly QuotaEffect[] {
  return usage.changesIn(tx).flatMap(({ kind, name, before, after }): readonly QuotaEffect[] => {
    const holder = tx.get(kind, { name });
    if (holder === undefined || !sees(principal, holder)) return [];
    const { quota } = holder.spec;
    const amounts = quotaFields.flatMap((field): QuotaEffect[] => {
      if (before[field] === after[field]) return [];
      const limit = quota?.[field];
      const effect = { kind, name, field, before: before[field], after: after[field] };
      return [limit === undefined ? effect : { ...effect, limit }];
    });
    if (quota?.spend === undefined) return amounts;
    const { currency, perMonth } = quota.spend;
    const [was, is] = [store, tx].map((view) => spend.of(kind, name, currency, view, nowMs));
    const months = (["thisMonth", "nextMonth"] as const).flatMap((month): QuotaEffect[] => {
      const [one, other] = [was?.[month].own ?? 0n, is?.[month].own ?? 0n];
      if (one === other) return [];
      const limit = moneyWords(millionths(perMonth));
      return [
        { kind, name, field: "spend", month, currency, before: moneyWords(one), after: moneyWords(other), limit },
      ];
    });
    return [...amounts, ...months];
  });
}
