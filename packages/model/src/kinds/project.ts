import { Type } from "typebox";
import { Name, optional, strict } from "../schema.ts";
import { defineKind } from "../kind.ts";
import { Quota, Spend, Usage } from "../quota.ts";

export const Project = defineKind({
  kind: "Project",
  plural: "projects",
  prefix: "prj",
  scope: "zone",
  spec: strict({
    organisation: Name,
    displayName: optional(Type.String({ maxLength: 200 })),
    quota: optional(Quota),
    /** How often what lives in it may be changed, in place of the server's own limit; five seconds of it at once. */
    mutationsPerSecond: optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
  }),
  /** Counted for each reply, never stored. */
  status: strict({ usage: optional(Usage), spend: optional(Spend) }),
});
