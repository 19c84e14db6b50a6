import type { Capacity, NodeFacts, SiteResource } from "@skerry/model";

/** A node as placement sees it: what node, site and provider together say, and what is taken on it. */
export interface Candidate {
  readonly name: string;
  readonly id: string;
  readonly site: string;
  readonly provider: string;
  /** Of the site. */
  readonly country: string;
  /** Whose law binds the provider. */
  readonly jurisdiction: string;
  /** Of the provider; 0 where it states none. */
  readonly sovereigntyLevel: number;
  readonly tier: SiteResource["spec"]["tier"];
  readonly labels: Readonly<Record<string, string>>;
  readonly architecture: NodeFacts["architecture"];
  readonly latitude: number;
  readonly longitude: number;
  /** Whether new instances may come at all: neither it nor its site nor its provider is cordoned. */
  readonly schedulable: boolean;
  /** What is cordoned, where it is not the node itself: such as `site madrid`. */
  readonly cordonedBy?: string;
  /** Whether the node could start one now: its agent is connected and its driver works. */
  readonly healthy: boolean;
  readonly capacity: Readonly<Capacity>;
  /** By everything that is assigned to it, running or not. */
  readonly used: Readonly<Capacity>;
  readonly carbonGramsPerKWh?: number;
  readonly eurosPerVcpuHour?: number;
  /** How many times its vCPUs and memory are given out; of the site. Once where absent. */
  readonly overcommit?: { readonly vcpus?: number; readonly memoryMiB?: number };
  /** Round trips from places, by name, where they were measured; of the site. All others are modelled. */
  readonly measuredMs?: Readonly<Record<string, number>>;
  /** Each keeps out what does not tolerate it. */
  readonly taints?: readonly string[];
  /** Those that it reaches; all where absent. */
  readonly networks?: readonly string[];
  readonly storage?: readonly string[];
  /** What is free of what can't be shared. */
  readonly spare?: Spare;
}

export interface Spare {
  /** GPUs and other PCI devices by their kind, such as `nvidia-l4`. */
  readonly devices?: Readonly<Record<string, number>>;
  readonly hugepagesMiB?: number;
  /** Of each NUMA cell, for what is pinned; what is not pinned takes nothing of it. */
  readonly cells?: readonly Cell[];
}

export interface Cell {
  readonly vcpus: number;
  readonly memoryMiB: number;
}

/** What a node gives out in all: its capacity, as many times as its site overcommits it. */
export function offeredBy({ capacity, overcommit }: Candidate): Readonly<Capacity> {
  if (overcommit === undefined) return capacity;
  return {
    vcpus: capacity.vcpus * (overcommit.vcpus ?? 1),
    memoryMiB: capacity.memoryMiB * (overcommit.memoryMiB ?? 1),
    diskMiB: capacity.diskMiB,
  };
}

/** What is left on a node; negative where more is taken than it gives out. */
export function freeOn(node: Candidate): Capacity {
  const offered = offeredBy(node);
  const { used } = node;
  return {
    vcpus: offered.vcpus - used.vcpus,
    memoryMiB: offered.memoryMiB - used.memoryMiB,
    diskMiB: offered.diskMiB - used.diskMiB,
  };
}

/** How many of its NUMA cells have room for a share of what is pinned in `cells` of them, evenly. */
export function cellsWithRoom({ spare }: Candidate, size: Readonly<Capacity>, cells: number): number {
  const share = cellShare(size, cells);
  return (spare?.cells ?? []).filter(({ vcpus, memoryMiB }) => vcpus >= share.vcpus && memoryMiB >= share.memoryMiB)
    .length;
}

export function cellShare({ vcpus, memoryMiB }: Readonly<Capacity>, cells: number): Cell {
  return { vcpus: Math.ceil(vcpus / cells), memoryMiB: Math.ceil(memoryMiB / cells) };
}
