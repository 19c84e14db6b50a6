import type { Capacity, LatencyLimit, PlacementConstraints } from "@skerry/model";

/** What is to be placed: its size, what must hold where it goes, and what is better there. */
export interface PlacementRequest extends Readonly<Capacity> {
  readonly constraints: PlacementConstraints;
  /** Names of nodes that are ruled out, such as the one that it is to leave. */
  readonly excludeNodes?: readonly string[];
  /** Countries that its data may not leave: the site is in one of them, and the provider is bound by the law of one of them. */
  readonly residency?: readonly string[];
  /** Taints that do not keep it out. */
  readonly tolerations?: readonly string[];
  /** How many devices of each kind it is to have for itself. */
  readonly devices?: Readonly<Record<string, number>>;
  readonly hugepagesMiB?: number;
  /** In how many NUMA cells its vCPUs and memory are pinned, an equal share in each; not pinned where absent. */
  readonly pinnedCells?: number;
  /** What the node must reach. */
  readonly networks?: readonly string[];
  readonly storage?: readonly string[];
  readonly affinity?: readonly AffinityTerm[];
  /** What makes a node better; to have most left of everything where absent. */
  readonly weights?: Weights;
  /** Places whose slowest round trip counts in the score; those of `maxLatency` where absent. */
  readonly latencyFrom?: readonly LatencyLimit["from"][];
  /** The node where it is, and what a move costs, in units of the score. */
  readonly stayPut?: { readonly node: string; readonly cost: number };
  /** Which of equal nodes is taken: with the same seed and fleet the same. The first by name where absent. */
  readonly seed?: number;
}

export const affinityScopes = ["node", "site", "provider", "country"] as const;
export type AffinityScope = (typeof affinityScopes)[number];

/** Where it stands to its peers: in the node, site, provider or country of one of them at least, or of none. */
export interface AffinityTerm {
  readonly relation: "with" | "apart";
  readonly by: AffinityScope;
  /** Names of the nodes where the peers are, one for each peer; without any the term always holds. */
  readonly nodes: readonly string[];
  /** Soft: what it costs where it does not hold, for `apart` times the peers that are there. Hard where absent. */
  readonly weight?: number;
}

/**
 * What each counts in a node's score, which is the sum; less is better. Each part is 1 at its reference: all of what runs out first
 * is used (`spread`), nothing of it (`pack`), or `scoreReferences`. A price or carbon intensity that is not known counts as 1.
 */
export interface Weights {
  readonly spread?: number;
  readonly pack?: number;
  readonly price?: number;
  readonly carbon?: number;
  readonly latency?: number;
}

export const scoreReferences = { eurosPerVcpuHour: 0.1, carbonGramsPerKWh: 500, latencyMs: 100 } as const;
