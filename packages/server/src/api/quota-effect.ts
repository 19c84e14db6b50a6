import { quotaFields, type QuotaEffect } from "@skerry/model";
import type { Transaction } from "@skerry/store";
import { sees } from "../authorisation/authorise.ts";
import type { Principal } from "../authorisation/principal.ts";
import type { UsageBook } from "../controllers/quotas/usage-book.ts";

/** What a rehearsed transaction means for quotas that the principal may see: one line for each amount that would be another. */
export function quotaEffects(
  usage: Pick<UsageBook, "changesIn">,
  tx: Transaction,
  principal: Principal,
): readonly QuotaEffect[] {
  return usage.changesIn(tx).flatMap(({ kind, name, before, after }) => {
    const holder = tx.get(kind, { name });
    if (holder === undefined || !sees(principal, holder)) return [];
    return quotaFields.flatMap((field) => {
      if (before[field] === after[field]) return [];
      const limit = holder.spec.quota?.[field];
      const effect = { kind, name, field, before: before[field], after: after[field] };
      return [limit === undefined ? effect : { ...effect, limit }];
    });
  });
}
