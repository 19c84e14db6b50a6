import { Type, type Static } from "typebox";
import { Name, oneOf, optional, strict } from "./schema.ts";

/** What quotas limit, in the order in which it is told. */
export const quotaFields = ["instances", "vcpus", "memoryMiB", "storageMiB", "addresses", "gpus"] as const;
export type QuotaField = (typeof quotaFields)[number];

const limit = (description: string) => optional(Type.Integer({ minimum: 0, description }));

/** The most that a month may cost. */
export const SpendQuota = strict(
  {
    currency: Type.String({ pattern: "^[A-Z]{3}$", description: "three capital letters, such as EUR (ISO 4217)" }),
    perMonth: Type.String({ pattern: "^[0-9]{1,12}([.][0-9]{1,6})?$", description: "an amount, such as 250 or 99.90" }),
  },
  "The most that a calendar month (UTC) may come to by the sites' price lists.",
);
export type SpendQuota = Static<typeof SpendQuota>;

/** The most that a project, or all projects of an organisation together, may have; without limit where absent. */
export const Quota = strict(
  {
    instances: limit("Instances, whatever they do."),
    vcpus: limit("Their vCPUs, also of stopped ones: their room is kept."),
    memoryMiB: limit("Their memory, the same."),
    storageMiB: limit("The sizes of all volumes; a move's second copy does not count."),
    addresses: limit("Addresses that instances hold."),
    gpus: limit("GPUs that instances have for themselves, also stopped ones; a move's second one does not count."),
    spend: optional(SpendQuota),
  },
  "What is limited; what is absent has no limit. Lowered below what is used it takes nothing away, and refuses growth.",
);
export type Quota = Static<typeof Quota>;

const amount = Type.Integer({ minimum: 0 });

/** What a project, or all projects of an organisation together, have. */
export const Usage = strict(
  { instances: amount, vcpus: amount, memoryMiB: amount, storageMiB: amount, addresses: amount, gpus: amount },
  "What is there now, until it is gone from its nodes.",
);
export type Usage = Static<typeof Usage>;

const money = Type.String({ pattern: "^-?[0-9]+[.][0-9]{6}$" });

/** What comes of what a project, or all projects of an organisation together, have, where its spend is limited. */
export const Spend = strict(
  {
    currency: Type.String(),
    /** What this month will have cost by its end, if nothing changes. */
    thisMonth: money,
    /** The same of the month after. */
    nextMonth: money,
  },
  "What months come to if all stays as it is.",
);
export type Spend = Static<typeof Spend>;

const holder = { kind: oneOf(["Project", "Organisation"] as const), name: Name };

/** What a change means for one limit: of plans. */
export const QuotaEffect = Type.Union(
  [
    strict({
      ...holder,
      field: oneOf(quotaFields),
      before: amount,
      after: amount,
      /** None where absent. */
      limit: optional(amount),
    }),
    strict(
      {
        ...holder,
        field: oneOf(["spend"] as const),
        month: oneOf(["thisMonth", "nextMonth"] as const),
        currency: Type.String(),
        before: money,
        after: money,
        limit: money,
      },
      "Only where spend is limited: what a month comes to by its end, if nothing else changes.",
    ),
  ],
  { description: "What a project or organisation would have more or less of, or spend, and the most that it may." },
);
export type QuotaEffect = Static<typeof QuotaEffect>;
