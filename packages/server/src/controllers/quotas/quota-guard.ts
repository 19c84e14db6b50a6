import { SkerryError, quotaFields, type Quota, type QuotaField, type Usage } from "@skerry/model";
import type { Transaction } from "@skerry/store";
import type { ActionIntent, IntentContext, IntentOutcome, KindIntents } from "../../intents.ts";
import type { SpendBook } from "./spend-book.ts";
import {
  noteSpend,
  spendFacts,
  spendMessage,
  spendOf,
  spendSentence,
  wayOutOf,
  type SpendExcess,
} from "./spend-excess.ts";
import { grownSince, type UsageBook, type Used } from "./usage-book.ts";

/** What limits: a project, or the organisation that it is of. */
export interface Holder {
  readonly kind: "Project" | "Organisation";
  readonly name: string;
  readonly quota: Quota;
  /** Whether who asks may know what the others in it have. */
  isSeen(): boolean;
}

export interface QuotaBooks {
  readonly usage: Pick<UsageBook, "in">;
  readonly spend: Pick<SpendBook, "of">;
}

interface Excess {
  readonly holder: Holder;
  readonly field: QuotaField;
  readonly used: number;
  readonly asked: number;
  readonly limit: number;
}

/**
 * Intents of instances under the quotas of their projects and organisations: the one place where these hold. What an intent has added
 * is judged at its end, in its own transaction, over all that came before it, durable or not. What adds nothing always passes. Costs two look-ups where there is no quota, and about 2 us where there is.
 */
export function withinQuotas(books: QuotaBooks, intents: KindIntents<"Instance">): KindIntents<"Instance"> {
  const actions = Object.entries(intents.actions).map(([name, action]): [string, ActionIntent<"Instance">] => [
    name,
    {
      ...action,
      run: (tx, instance, input, context) =>
        judged(books, tx, instance.metadata.project, context, () => action.run(tx, instance, input, context)),
    },
  ]);
  return {
    ...intents,
    create: (tx, draft, context) =>
      judged(books, tx, draft.metadata.project, context, () => intents.create(tx, draft, context)),
    update: (tx, before, after, context) =>
      judged(books, tx, before.metadata.project, context, () => intents.update(tx, before, after, context)),
    actions: Object.fromEntries(actions),
  };
}

/** @throws SkerryError quota-exceeded */
function judged(
  books: QuotaBooks,
  tx: Transaction,
  project: string | undefined,
  context: IntentContext,
  work: () => IntentOutcome,
): IntentOutcome {
  const holders = project === undefined ? [] : holdersOf(tx, project, context);
  if (project === undefined || holders.length === 0) return work();
  const before = usageOf(books.usage.in(tx), holders);
  const costs = holders.map((holder) => spendOf(books, tx, holder, context));
  const { length } = tx.written;
  const last = tx.written.at(-1);
  const outcome = work();
  const growth = grownSince(tx, length, last, project);
  const excesses: Excess[] = [];
  const spends: SpendExcess[] = [];
  for (const [index, holder] of holders.entries()) {
    noteExcesses(excesses, holder, before[index], growth);
    const [cost, after] = [costs[index], spendOf(books, tx, holder, context)];
    if (cost !== undefined && after !== undefined) noteSpend(spends, holder, cost, after);
  }
  if (excesses.length + spends.length > 0) throw refusal(excesses, spends);
  return outcome;
}

/** Only those that limit anything. */
function holdersOf(tx: Transaction, name: string, context: IntentContext): readonly Holder[] {
  const project = tx.get("Project", { name });
  const organisation = project === undefined ? undefined : tx.get("Organisation", { name: project.spec.organisation });
  const holders: Holder[] = [];
  for (const one of [project, organisation]) {
    if (one?.spec.quota === undefined) continue;
    const { quota } = one.spec;
    const isSeen = (): boolean => one.kind === "Project" || context.sees?.(one) === true;
    holders.push({ kind: one.kind, name: one.metadata.name, quota, isSeen });
  }
  return holders;
}

function usageOf(used: Used, holders: readonly Holder[]): readonly Usage[] {
  return holders.map(({ kind, name }) => (kind === "Project" ? used.ofProject(name) : used.ofOrganisation(name)));
}

function noteExcesses(excesses: Excess[], holder: Holder, before: Usage | undefined, growth: Usage): void {
  for (const field of quotaFields) {
    const limit = holder.quota[field];
    const used = before?.[field] ?? 0;
    const asked = growth[field];
    if (limit !== undefined && asked > 0 && used + asked > limit) excesses.push({ holder, field, used, asked, limit });
  }
}

const words: Readonly<Record<QuotaField, string>> = {
  instances: "instances",
  vcpus: "vCPUs",
  memoryMiB: "MiB of memory",
  storageMiB: "MiB of storage",
  addresses: "addresses",
  gpus: "GPUs",
};

/** What of an instance's spec asks for it. */
const causes: Readonly<Record<QuotaField, string>> = {
  instances: "/spec",
  vcpus: "/spec/vcpus",
  memoryMiB: "/spec/memoryMiB",
  storageMiB: "/spec/diskMiB",
  addresses: "/spec/networks",
  gpus: "/spec/devices",
};

function refusal(excesses: readonly Excess[], spends: readonly SpendExcess[]): SkerryError {
  const raised = excesses.map(
    ({ holder, field, used, asked }) =>
      `skerry ${holder.kind.toLowerCase()} quota ${holder.name} ${field}=${holder.isSeen() ? used + asked : "NUMBER"}`,
  );
  const ways = [...raised, ...spends.map(wayOutOf)];
  return new SkerryError("quota-exceeded", [...excesses.map(sentence), ...spends.map(spendSentence)].join(" "), {
    remedy: `Ask for less, delete what is not needed any more, or have an administrator raise the quota: ${ways.join("; ")}`,
    errors: [
      ...excesses.map((excess) => ({ path: causes[excess.field], message: messageOf(excess) })),
      ...spends.map((excess) => ({ path: "/spec", message: spendMessage(excess) })),
    ],
    facts: {
      exceeded: [
        ...excesses.map(({ holder, field, used, asked, limit }) => ({
          ...{ kind: holder.kind, name: holder.name, field, asked },
          ...(holder.isSeen() ? { used, limit } : {}),
        })),
        ...spends.map(spendFacts),
      ],
    },
  });
}

/** Of an organisation that the asker does not see the figures stay its own: they tell what other projects have. */
function sentence({ holder, field, used, asked, limit }: Excess): string {
  const whose = `The ${holder.kind.toLowerCase()} ${holder.name}`;
  return holder.isSeen()
    ? `${whose} may have ${limit} ${words[field]} and has ${used}; this asks for ${asked} more.`
    : `${whose} has no ${asked} ${words[field]} left of its quota, which this asks for.`;
}

function messageOf({ holder, field, used, asked, limit }: Excess): string {
  const quota = `the quota of ${words[field]} of the ${holder.kind.toLowerCase()} ${holder.name}`;
  return holder.isSeen()
    ? `asks for ${asked} more than the ${used} there are, and ${quota} is ${limit}`
    : `asks for ${asked} more, which ${quota} does not leave`;
}
