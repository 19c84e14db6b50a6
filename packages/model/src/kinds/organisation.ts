import { Type } from "typebox";
import { optional, strict } from "../schema.ts";
import { defineKind } from "../kind.ts";
import { Quota, Usage } from "../quota.ts";

export const Organisation = defineKind({
  kind: "Organisation",
  plural: "organisations",
  prefix: "org",
  scope: "zone",
  spec: strict({
    displayName: optional(Type.String({ maxLength: 200 })),
    /** Of all its projects together. */
    quota: optional(Quota),
  }),
  /** Counted for each reply, never stored. */
  status: strict({ usage: optional(Usage) }),
});
