import { Type } from "typebox";
import { Labels, optional, strict } from "../schema.ts";
import { defineKind } from "../kind.ts";

const Count = optional(Type.Integer({ minimum: 0 }));

/** How many of some instances may be down at once; asked by all that moves them without their owner having asked for it. */
export const DisruptionBudget = defineKind({
  kind: "DisruptionBudget",
  plural: "disruption-budgets",
  prefix: "dbg",
  scope: "project",
  spec: strict({
    /** Of the project's instances those that have all of these labels; all of them where absent. */
    selector: optional(Labels),
    maxUnavailable: Type.Integer({
      minimum: 0,
      maximum: 1_000_000,
      description: "how many of them may be down at once before one more is moved away; 0: none is ever moved",
    }),
  }),
  status: strict({
    /** How many it is for, how many of those that should run do not serve now, and how many more may be taken down; as of the reply. */
    instances: Count,
    unavailable: Count,
    allowed: Count,
  }),
});
