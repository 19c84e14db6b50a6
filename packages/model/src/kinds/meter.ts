import { Type, type Static } from "typebox";
import { Name, optional, strict } from "../schema.ts";
import { defineKind } from "../kind.ts";

/** A calendar month in UTC. */
export const Month = Type.String({
  pattern: "^[0-9]{4}-(0[1-9]|1[0-2])$",
  description: "a year and a month, such as 2026-11",
});

/** Of an amount: whole unit-milliseconds, which may need more digits than a number has. */
const Metered = Type.String({ pattern: "^-?[0-9]{1,40}$" });

/** What a project had at one site, beyond what what is there now has had since it was made. */
export const MeteredSite = strict({
  site: Name,
  vcpuMs: Metered,
  memoryMiBMs: Metered,
  storageMiBMs: Metered,
  addressMs: Metered,
  /** Nothing where absent. */
  gpuMs: optional(Metered),
});
export type MeteredSite = Static<typeof MeteredSite>;

/** Part of the usage of one project in one month: what reports take besides what is there. Written by the server only. */
export const Meter = defineKind({
  kind: "Meter",
  plural: "meters",
  prefix: "mtr",
  scope: "project",
  spec: strict({
    month: Month,
    /** The project's, for reports after it has gone. */
    organisation: Name,
  }),
  status: strict({
    /** Corrections: what was deleted, resized or moved, so that what is there counts as if it had always been as it is. */
    sites: Type.Array(MeteredSite),
  }),
});
