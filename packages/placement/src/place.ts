import { freeOn } from "./candidate.ts";
import type { Candidate, PlacementRequest } from "./candidate.ts";
import { checksFor } from "./checks.ts";
import type { Check } from "./check.ts";
import { modelledRoundTripMs } from "./latency.ts";
import type { ModelledLatency } from "./latency.ts";
import { placeOf } from "./places.ts";
import type { Refusal, RefusalReason, Refused } from "./refusal.ts";
import { scoreOf, useOf } from "./score.ts";
import type { Score } from "./score.ts";
import { count, memory, milliseconds } from "./wording.ts";

export interface Placed {
  readonly outcome: "placed";
  readonly node: Candidate;
  readonly score: Score;
  /** From each place that the request names. */
  readonly latencies: readonly ModelledLatency[];
  readonly considered: number;
  /** How many nodes satisfy everything. */
  readonly fitting: number;
  /** Why here, in a sentence. */
  readonly reason: string;
}

export type Decision = Placed | Refused;

/**
 * Chooses the node that everything asked holds for and that would be used least (see Score), by name where equal; the
 * same request and fleet give the same answer in any order of nodes. Scans all nodes: about 0.3 us each, 1.5 us where it ends in a refusal.
 * @throws SkerryError invalid-request where a named place is not known
 */
export function place(request: PlacementRequest, fleet: readonly Candidate[]): Decision {
  const checks = checksFor(request);
  let best: Candidate | undefined;
  let bestUse = Number.POSITIVE_INFINITY;
  let fitting = 0;
  for (const node of fleet) {
    if (failsAny(checks, node)) continue;
    fitting++;
    const use = useOf(node, request);
    if (best !== undefined && (use > bestUse || (use === bestUse && node.name >= best.name))) continue;
    best = node;
    bestUse = use;
  }
  if (best === undefined) return refused(checks, fleet);
  const latencies = latenciesTo(best, request);
  const reason = reasonFor(best, latencies, fitting, fleet.length);
  const score = scoreOf(best, request);
  return { outcome: "placed", node: best, score, latencies, considered: fleet.length, fitting, reason };
}

/** What stands in the way on all nodes that do not fit, also where others do: why not there, and what would change it. */
export function explain(request: PlacementRequest, fleet: readonly Candidate[]): readonly Refusal[] {
  return explainChecks(checksFor(request), fleet);
}

/** Why this node cannot take it; empty where it can. For checking again what was decided earlier. */
export function obstacles(request: PlacementRequest, node: Candidate): readonly RefusalReason[] {
  return checksFor(request)
    .filter((check) => check.fails(node))
    .map((check) => check.reason);
}

function failsAny(checks: readonly Check[], node: Candidate): boolean {
  for (let at = 0; at < checks.length; at++) if (checks[at]?.fails(node) === true) return true;
  return false;
}

function refused(checks: readonly Check[], fleet: readonly Candidate[]): Refused {
  const refusals = explainChecks(checks, fleet);
  const why = fleet.length === 0 ? "there are no nodes yet" : refusals.map((refusal) => refusal.sentence).join("; ");
  return { outcome: "refused", considered: fleet.length, refusals, reason: `No node fits: ${why}.` };
}

function explainChecks(checks: readonly Check[], fleet: readonly Candidate[]): Refusal[] {
  const failing = checks.map((): Candidate[] => []);
  const only = checks.map((): Candidate[] => []);
  for (const node of fleet) {
    const failed = [...checks.keys()].filter((index) => checks[index]?.fails(node));
    for (const index of failed) failing[index]?.push(node);
    if (failed.length === 1) only[failed[0] ?? 0]?.push(node);
  }
  return checks
    .flatMap((check, index) => {
      const nodes = failing[index] ?? [];
      return nodes.length === 0 ? [] : [check.explain(nodes, only[index] ?? [], fleet.length)];
    })
    .sort((a, b) => (b.nearest?.opens ?? 0) - (a.nearest?.opens ?? 0) || b.nodes - a.nodes);
}

function latenciesTo(node: Candidate, { constraints }: PlacementRequest): ModelledLatency[] {
  return (constraints.maxLatency ?? []).map(({ from }) => {
    const start = placeOf(from);
    return { from: start.name, milliseconds: modelledRoundTripMs(start, node), modelled: true };
  });
}

function reasonFor(
  node: Candidate,
  latencies: readonly ModelledLatency[],
  fitting: number,
  considered: number,
): string {
  const free = freeOn(node);
  const parts = [
    `free ${free.vcpus} vCPU and ${memory(free.memoryMiB)}`,
    ...latencies.map(({ from, milliseconds: roundTrip }) => `${milliseconds(roundTrip)} modelled from ${from}`),
  ];
  return `${node.name}: ${parts.join(", ")}; ${fitting} of ${count(considered, "node")} ${fitting === 1 ? "fits" : "fit"}`;
}
