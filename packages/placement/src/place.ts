import type { ScoreParts } from "@skerry/model";
import { freeOn } from "./candidate.ts";
import type { Candidate } from "./candidate.ts";
import type { PlacementRequest } from "./request.ts";
import { checksFor } from "./checks.ts";
import type { Peers } from "./peers.ts";
import type { Check } from "./check.ts";
import { roundTripMs } from "./latency.ts";
import type { RoundTrip } from "./latency.ts";
import { NodeFleet } from "./fleet/fleet.ts";
import { Placer } from "./placer.ts";
import { scoreParts } from "./explanation/score-parts.ts";
import { byName, type Naming } from "./naming.ts";
import { placeOf } from "./places.ts";
import type { Refusal, RefusalReason, Refused } from "./refusal.ts";
import { scoreOf, useOf } from "./score.ts";
import type { Score } from "./score.ts";
import { finish, type Steps } from "./steps.ts";
import { count, memory, milliseconds } from "./wording.ts";

export interface Placed {
  readonly outcome: "placed";
  readonly node: Candidate;
  readonly score: Score;
  /** What each thing added to what it costs, which is the sum (see Weights). */
  readonly parts: ScoreParts;
  /** From each place that the request names. */
  readonly latencies: readonly RoundTrip[];
  readonly considered: number;
  /** The best of all others that fit; absent where it was not looked for, since that costs more than to decide. */
  readonly next?: { readonly node: Candidate; readonly parts: ScoreParts };
  /** How many nodes satisfy everything; absent in a large fleet. */
  readonly fitting?: number;
  /** Why here, in a sentence. */
  readonly reason: string;
}

export type Decision = Placed | Refused;

/** Beyond so many nodes a decision doesn't say how many fit: to count them costs more than to decide. */
const fittingCounted = 256;

/**
 * Chooses a node of this fleet as `Placer.best` does, and says why there, or what stands in the way everywhere. A look at all nodes,
 * about 0.3 us each, 1.5 us where it ends in a refusal; what weighs more than how nodes are used has the fleet laid out, 10 us each.
 * @throws SkerryError invalid-request where a named place is not known
 */
export function place(request: PlacementRequest, fleet: readonly Candidate[], naming: Naming = byName): Decision {
  const { weights, affinity, stayPut, seed } = request;
  if (weights !== undefined || affinity !== undefined || stayPut !== undefined || seed !== undefined)
    return decide(new Placer(new NodeFleet(fleet)), request, naming);
  const checks = checksFor(request, peersIn([]), naming);
  let best: Candidate | undefined;
  let bestUse = Number.POSITIVE_INFINITY;
  let next: Candidate | undefined;
  let nextUse = Number.POSITIVE_INFINITY;
  let fitting = 0;
  for (const node of fleet) {
    if (failsAny(checks, node)) continue;
    fitting++;
    const use = useOf(node, request);
    if (next !== undefined && (use > nextUse || (use === nextUse && node.name >= next.name))) continue;
    if (best !== undefined && (use > bestUse || (use === bestUse && node.name >= best.name))) {
      next = node;
      nextUse = use;
      continue;
    }
    [next, nextUse] = [best, bestUse];
    best = node;
    bestUse = use;
  }
  if (best === undefined) return finish(refusedSteps(checks, fleet, fleet.length));
  return placedOn(best, next, request, fleet.length, fitting, peersIn([]));
}

/** The same with a fleet that is kept. A refusal looks at each node. */
export function decide(placer: Placer, request: PlacementRequest, naming: Naming = byName): Decision {
  return finish(decideSteps(placer, request, naming));
}

/** The same, of which a refusal in a large fleet takes long. Nothing may change meanwhile. */
export function* decideSteps(placer: Placer, request: PlacementRequest, naming: Naming): Steps<Decision> {
  const { fleet } = placer;
  const { slot } = placer.best(request);
  if (slot < 0) return yield* refusedSteps(checksFor(request, fleet, naming), fleet.nodes(), fleet.size);
  const fitting = fleet.size <= fittingCounted ? placer.fitting(request).nodes : undefined;
  return placedOn(fleet.at(slot), undefined, request, fleet.size, fitting, fleet);
}

function placedOn(
  node: Candidate,
  next: Candidate | undefined,
  request: PlacementRequest,
  considered: number,
  fitting: number | undefined,
  peers: Peers,
): Placed {
  const latencies = latenciesTo(node, request);
  return {
    outcome: "placed",
    node,
    score: scoreOf(node, request),
    parts: scoreParts(request, node, peers),
    latencies,
    considered,
    ...(next === undefined ? {} : { next: { node: next, parts: scoreParts(request, next, peers) } }),
    ...(fitting === undefined ? {} : { fitting }),
    reason: reasonFor(node, latencies, fitting, considered),
  };
}

function failsAny(checks: readonly Check[], node: Candidate): boolean {
  for (let at = 0; at < checks.length; at++) if (checks[at]?.fails(node) === true) return true;
  return false;
}

/** What stands in the way on all nodes that do not fit, also where others do: why not there, and what would change it. */
export function explain(request: PlacementRequest, fleet: readonly Candidate[]): readonly Refusal[] {
  return finish(explainChecks(checksFor(request, peersIn(fleet)), fleet, fleet.length));
}

/** The same of a fleet that is kept. */
export function explainNodes(request: PlacementRequest, fleet: NodeFleet, naming: Naming): Steps<readonly Refusal[]> {
  return explainChecks(checksFor(request, fleet, naming), fleet.nodes(), fleet.size);
}

/**
 * Why this node cannot take it; empty where it can. For checking again what was decided earlier.
 * @param fleet the nodes that affinities name
 */
export function obstacles(
  request: PlacementRequest,
  node: Candidate,
  fleet: readonly Candidate[] = [],
): readonly RefusalReason[] {
  return checksFor(request, peersIn(fleet))
    .filter((check) => check.fails(node))
    .map((check) => check.reason);
}

function peersIn(fleet: readonly Candidate[]): Peers {
  const byName = new Map(fleet.map((node) => [node.name, node]));
  return { named: (name) => byName.get(name) };
}

function* refusedSteps(checks: readonly Check[], nodes: Iterable<Candidate>, considered: number): Steps<Refused> {
  const refusals = yield* explainChecks(checks, nodes, considered);
  const why = considered === 0 ? "there are no nodes yet" : refusals.map((refusal) => refusal.sentence).join("; ");
  return { outcome: "refused", considered, refusals, reason: `No node fits: ${why}.` };
}

const nodesPerStep = 256;

function* explainChecks(checks: readonly Check[], nodes: Iterable<Candidate>, considered: number): Steps<Refusal[]> {
  const failing = checks.map((): Candidate[] => []);
  const only = checks.map((): Candidate[] => []);
  let seen = 0;
  for (const node of nodes) {
    if (++seen % nodesPerStep === 0) yield;
    const failed = [...checks.keys()].filter((index) => checks[index]?.fails(node));
    for (const index of failed) failing[index]?.push(node);
    if (failed.length === 1) only[failed[0] ?? 0]?.push(node);
  }
  const refusals: Refusal[] = [];
  for (const [index, check] of checks.entries()) {
    const some = failing[index] ?? [];
    if (some.length === 0) continue;
    yield;
    refusals.push(check.explain(some, only[index] ?? [], considered));
  }
  return refusals.sort((a, b) => (b.nearest?.opens ?? 0) - (a.nearest?.opens ?? 0) || b.nodes - a.nodes);
}

function latenciesTo(node: Candidate, { constraints }: PlacementRequest): RoundTrip[] {
  return (constraints.maxLatency ?? []).map(({ from }) => {
    const start = placeOf(from);
    return { from: start.name, ...roundTripMs(start, node) };
  });
}

function reasonFor(
  node: Candidate,
  latencies: readonly RoundTrip[],
  fitting: number | undefined,
  considered: number,
): string {
  const free = freeOn(node);
  const parts = [
    `free ${free.vcpus} vCPU and ${memory(free.memoryMiB)}`,
    ...latencies.map(
      ({ from, milliseconds: roundTrip, modelled }) =>
        `${milliseconds(roundTrip)} ${modelled ? "modelled" : "measured"} from ${from}`,
    ),
  ];
  const many =
    fitting === undefined
      ? `best of ${count(considered, "node")}`
      : `${fitting} of ${count(considered, "node")} ${fitting === 1 ? "fits" : "fit"}`;
  return `${node.name}: ${parts.join(", ")}; ${many}`;
}
