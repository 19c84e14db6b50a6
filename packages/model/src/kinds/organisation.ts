import { Type } from "typebox";
import { optional, strict } from "../schema.ts";
import { defineKind } from "../kind.ts";

export const Organisation = defineKind({
  kind: "Organisation",
  plural: "organisations",
  prefix: "org",
  scope: "zone",
  spec: strict({ displayName: optional(Type.String({ maxLength: 200 })) }),
  status: strict({}),
});
