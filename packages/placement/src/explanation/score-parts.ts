import { scorePartNames, type ScorePartName, type ScoreParts } from "@skerry/model";
import type { Candidate } from "../candidate.ts";
import { roundTripMs } from "../latency.ts";
import type { Peers } from "../peers.ts";
import { placeOf } from "../places.ts";
import { scoreReferences } from "../request.ts";
import type { AffinityTerm, PlacementRequest, Weights } from "../request.ts";
import { scoreOf } from "../score.ts";

const spreadOnly: Weights = { spread: 1 };

/** What each thing adds to a node's score, less being better; those that count nothing are left out. */
export function scoreParts(request: PlacementRequest, node: Candidate, peers: Peers): ScoreParts {
  const { weights = spreadOnly, affinity = [], stayPut } = request;
  // To find a place by its name takes longer than all the rest.
  const { latency = 0 } = weights;
  const { use } = scoreOf(node, request);
  const price = (node.eurosPerVcpuHour ?? scoreReferences.eurosPerVcpuHour) / scoreReferences.eurosPerVcpuHour;
  const carbon = (node.carbonGramsPerKWh ?? scoreReferences.carbonGramsPerKWh) / scoreReferences.carbonGramsPerKWh;
  const all = {
    spread: (weights.spread ?? 0) * use,
    pack: (weights.pack ?? 0) * (1 - use),
    price: (weights.price ?? 0) * price,
    carbon: (weights.carbon ?? 0) * carbon,
    latency: latency === 0 ? 0 : (latency * slowestMs(request, node)) / scoreReferences.latencyMs,
    affinity: affinity.reduce((sum, term) => sum + affinityCost(term, node, peers), 0),
    stayPut:
      stayPut !== undefined && stayPut.node !== node.name && peers.named(stayPut.node) !== undefined ? stayPut.cost : 0,
  };
  const parts: Partial<Record<ScorePartName, number>> = {};
  for (const part of scorePartNames) if (all[part] !== 0) parts[part] = all[part];
  return parts;
}

/** The slowest round trip of those that count, or are limited. */
export function slowestMs({ latencyFrom, constraints }: PlacementRequest, node: Candidate): number {
  const from = latencyFrom ?? (constraints.maxLatency ?? []).map((limit) => limit.from);
  return Math.max(0, ...from.map((start) => roundTripMs(placeOf(start), node).milliseconds));
}

/** The node, site, provider or country of a node, as an affinity counts them. */
export function domainOf(node: Candidate, { by }: Pick<AffinityTerm, "by">): string {
  return by === "node" ? node.name : node[by];
}

function affinityCost(term: AffinityTerm, node: Candidate, peers: Peers): number {
  const { relation, nodes, weight } = term;
  const there = nodes.flatMap((name) => peers.named(name) ?? []);
  if (weight === undefined || there.length === 0) return 0;
  const beside = there.filter((peer) => domainOf(peer, term) === domainOf(node, term)).length;
  return relation === "apart" ? weight * beside : beside === 0 ? weight : 0;
}
