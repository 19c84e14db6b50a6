import type { Capacity, NodeFacts, PlacementConstraints, SiteResource } from "@skerry/model";

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
  /** Whether new instances may come at all. */
  readonly schedulable: boolean;
  /** Whether the node could start one now: its agent is connected and its driver works. */
  readonly healthy: boolean;
  readonly capacity: Readonly<Capacity>;
  /** By everything that is assigned to it, running or not. */
  readonly used: Readonly<Capacity>;
  readonly carbonGramsPerKWh?: number;
  readonly eurosPerVcpuHour?: number;
}

/** What is to be placed: its size and where it may be. */
export interface PlacementRequest extends Readonly<Capacity> {
  readonly constraints: PlacementConstraints;
  /** Names of nodes that are ruled out, such as the one that it is to leave. */
  readonly excludeNodes?: readonly string[];
}

/** What is left on a node; negative where it is overcommitted. */
export function freeOn({ capacity, used }: Candidate): Capacity {
  return {
    vcpus: capacity.vcpus - used.vcpus,
    memoryMiB: capacity.memoryMiB - used.memoryMiB,
    diskMiB: capacity.diskMiB - used.diskMiB,
  };
}
