import { SkerryError } from "@skerry/model";

/** Why a node cannot take an instance, in the order in which they are checked. */
export const refusalReasons = [
  "excluded",
  "unhealthy",
  "unschedulable",
  "node",
  "site",
  "provider",
  "country",
  "jurisdiction",
  "residency",
  "tier",
  "sovereignty",
  "architecture",
  "labels",
  "taint",
  "network",
  "storage",
  "latency",
  "affinity",
  "capacity-vcpus",
  "capacity-memory",
  "capacity-disk",
  "device",
  "hugepages",
  "pinning",
] as const;
export type RefusalReason = (typeof refusalReasons)[number];

/** One thing that was asked and how many nodes fail it. A node that fails several counts for each. */
export interface Refusal {
  readonly reason: RefusalReason;
  /** What was asked, for example `ES, FR` or `15 ms from Madrid`. */
  readonly asked: string;
  readonly nodes: number;
  /** The least change of this one thing alone that would let a node fit; absent where no such change helps. */
  readonly nearest?: NearestMiss;
  /** All of this in words. */
  readonly sentence: string;
}

export interface NearestMiss {
  /** What to ask instead, or as well: a word such as a country, or a number in the unit of what was asked. */
  readonly value: string | number;
  /** How many nodes it would open. */
  readonly opens: number;
  /** What to do, as an instruction. */
  readonly advice: string;
}

export interface Refused {
  readonly outcome: "refused";
  readonly considered: number;
  /** What stands in the way; first what alone would open most nodes. */
  readonly refusals: readonly Refusal[];
  /** Why nowhere, in a sentence. */
  readonly reason: string;
}

/** The error for a request that no node satisfies: counts, the nearest miss as the remedy, and the facts. */
export function refusalError(refused: Refused): SkerryError {
  return new SkerryError("no-placement", refused.reason, {
    remedy: remedyFor(refused),
    facts: { considered: refused.considered, refusals: refused.refusals },
  });
}

function remedyFor({ considered, refusals }: Refused): string {
  if (considered === 0) return "Add a node first; `skerry node --help` says how.";
  const advice = refusals.flatMap(({ nearest }) =>
    nearest === undefined ? [] : [`${nearest.advice} (opens ${nearest.opens})`],
  );
  if (advice.length === 0)
    return "No single change would open a node: change several of these, or add a node that fits.";
  return `Any one of these would do: ${advice.join("; ")}.`;
}
