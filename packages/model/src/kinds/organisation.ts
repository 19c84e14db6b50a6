import { Type } from "typebox";
import { optional, strict } from "../schema.ts";
import { defineKind } from "../kind.ts";
import { Quota, Spend, Usage } from "../quota.ts";

export const Organisation = defineKind({
  kind: "Organisation",
  plural: "organisations",
  prefix: "org",
  scope: "zone",
  spec: strict({
    displayName: optional(Type.String({ maxLength: 200 })),
    /** Of all its projects together. */
    quota: optional(Quota),
    /** How often what lives in its projects may be changed, all together; without limit where absent. */
    mutationsPerSecond: optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
  }),
  /** Counted for each reply, never stored. */
  status: strict({ usage: optional(Usage), spend: optional(Spend) }),
});
