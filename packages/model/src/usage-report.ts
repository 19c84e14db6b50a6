import { Type, type Static } from "typebox";
import { Month } from "./kinds/meter.ts";
import { Name, Timestamp, optional, strict } from "./schema.ts";

const decimal = (description: string) => Type.String({ pattern: "^-?[0-9]+\\.[0-9]+$", description });

/** What a project had at a site in a month, and what that costs. Exact; costs are rounded to a millionth, one by one. */
export const UsageLine = strict({
  project: Name,
  site: Name,
  vcpuSeconds: decimal("vCPUs x seconds"),
  memoryMiBSeconds: decimal("MiB of memory x seconds"),
  storageMiBSeconds: decimal("MiB of volumes x seconds"),
  addressSeconds: decimal("addresses x seconds"),
  gpuSeconds: decimal("GPUs x seconds"),
  /** None where the site has no price list for the month, or is gone. */
  cost: optional(
    strict({
      currency: Type.String(),
      vcpus: decimal("of vCPUs"),
      memory: decimal("of memory"),
      storage: decimal("of volumes"),
      addresses: decimal("of addresses"),
      gpus: decimal("of GPUs"),
      total: decimal("the sum of these"),
    }),
  ),
});
export type UsageLine = Static<typeof UsageLine>;

export const UsageReport = strict({
  month: Month,
  /** Up to when it counts: the month's end, or the moment of the report. */
  until: Timestamp,
  /** In order of project and site; one for each site at which it had anything. */
  lines: Type.Array(UsageLine),
  /** The sums of the lines' costs. */
  totals: Type.Array(strict({ currency: Type.String(), total: decimal("the sum") })),
});
export type UsageReport = Static<typeof UsageReport>;
