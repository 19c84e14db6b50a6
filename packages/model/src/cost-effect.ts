import { Type, type Static } from "typebox";
import { Month } from "./kinds/meter.ts";
import { Name, oneOf, optional, strict } from "./schema.ts";

const decimal = (description: string) => Type.String({ pattern: "^-?[0-9]+\\.[0-9]+$", description });
const Currency = Type.String({ pattern: "^[A-Z]{3}$" });

export const pricedItems = ["vcpus", "memory", "storage", "addresses", "gpus"] as const;

/** What something costs for a whole month where it is, by the price list that the site has for it. */
export const MonthlyCost = strict({
  /** None where its node is gone. */
  site: optional(Name),
  /** `settled`: it is there, or is asked to go there; `foreseen`: placement would put it there now, and may put it elsewhere by then. */
  place: oneOf(["settled", "foreseen"] as const),
  /** Unknown, and not nothing, where the site has no price list. */
  cost: optional(strict({ currency: Currency, total: decimal("exact to a millionth") })),
  /** What the list has no price for; left out of the total. */
  unpriced: optional(Type.Array(oneOf(pricedItems), { minItems: 1 })),
  /** Where foreseen: over all sites that its placement allows, whatever is free there. */
  range: optional(
    strict({
      sites: Type.Integer({ minimum: 1, description: "that its placement allows" }),
      unknown: Type.Integer({
        minimum: 0,
        description: "of them without a price list, or without a price for some of it",
      }),
      costs: Type.Array(
        strict({ currency: Currency, least: decimal("at the cheapest"), most: decimal("at the dearest") }),
        {
          description: "at the others, by currency",
        },
      ),
    }),
  ),
});
export type MonthlyCost = Static<typeof MonthlyCost>;

/** What a change means for the cost of a month: of plans. An instance counts with its volume. */
export const CostEffect = strict(
  {
    kind: oneOf(["Instance", "Volume"] as const),
    name: Name,
    project: Name,
    /** Whose price lists, and whose length, all of it is by. */
    month: Month,
    /** Absent where it is not there before, or after. */
    before: optional(MonthlyCost),
    after: optional(MonthlyCost),
    /** After less before; absent where one of them is unknown, or they are in different currencies. */
    difference: optional(strict({ currency: Currency, total: decimal("exact to a millionth") })),
  },
  "What something would cost more or less in a whole month.",
);
export type CostEffect = Static<typeof CostEffect>;
