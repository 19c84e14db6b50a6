import type { rebalanceObjectives } from "@skerry/model";
import type { Candidate } from "../candidate.ts";
import type { NodeFleet } from "../fleet/fleet.ts";
import type { PlacementRequest, Weights } from "../request.ts";
import { useOf } from "../score.ts";

/**
 * What is to become less: `balance` the sum over nodes of the square of their use, from 0 to 1 each; `price` euros in an hour and
 * `carbon` vCPUs times grams of CO2 for a kWh, over what can be moved; `consolidation` nodes with anything on them.
 */
export type RebalanceObjective = (typeof rebalanceObjectives)[number];

/** An instance that may be moved, and what it asks of its node. */
export interface Resident {
  readonly id: string;
  readonly nodeId: string;
  readonly request: PlacementRequest;
}

const nothing = { vcpus: 0, memoryMiB: 0, diskMiB: 0 };

/** What of a node counts, with so much less of it used. */
export function squareOfUse(node: Candidate): number {
  const use = useOf(node, nothing);
  return Number.isFinite(use) ? use * use : 0;
}

export function isEmpty({ used }: Candidate): boolean {
  return used.vcpus <= 0 && used.memoryMiB <= 0 && used.diskMiB <= 0;
}

/** What a vCPU costs at a node, in money or carbon; undefined where nobody has said. */
export function rateOf(node: Candidate, objective: "price" | "carbon"): number | undefined {
  return objective === "price" ? node.eurosPerVcpuHour : node.carbonGramsPerKWh;
}

/** Less is better. Residents whose site has no price, or no carbon intensity, count as nothing. */
export function objectiveOf(fleet: NodeFleet, residents: readonly Resident[], objective: RebalanceObjective): number {
  if (objective === "price" || objective === "carbon") {
    return residents.reduce((sum, { nodeId, request }) => {
      const slot = fleet.slotOf(nodeId);
      return sum + (slot === undefined ? 0 : (rateOf(fleet.at(slot), objective) ?? 0) * request.vcpus);
    }, 0);
  }
  let sum = 0;
  for (const node of fleet.nodes()) sum += objective === "balance" ? squareOfUse(node) : isEmpty(node) ? 0 : 1;
  return sum;
}

/** By which a better node is looked for. */
export const weightsFor: Readonly<Record<RebalanceObjective, Weights>> = {
  balance: { spread: 1 },
  price: { price: 1 },
  carbon: { carbon: 1 },
  consolidation: { pack: 1 },
};

/** What a move must gain at least: none for a rounding error, or for what nobody would notice. */
export const leastGain: Readonly<Record<RebalanceObjective, number>> = {
  balance: 1e-3,
  price: 1e-6,
  carbon: 1e-6,
  consolidation: 1,
};

/** Nodes from which to take first. */
export function worstFirst(nodes: readonly Candidate[], objective: RebalanceObjective): readonly Candidate[] {
  const badness = (node: Candidate): number => {
    switch (objective) {
      case "balance":
        return squareOfUse(node);
      case "price":
      case "carbon":
        return rateOf(node, objective) ?? 0;
      case "consolidation":
        return -squareOfUse(node);
    }
  };
  return nodes
    .filter((node) => !isEmpty(node))
    .map((node) => ({ node, badness: badness(node) }))
    .sort((one, other) => other.badness - one.badness || (one.node.name < other.node.name ? -1 : 1))
    .map(({ node }) => node);
}
