import { freeOn } from "./candidate.ts";
import type { Candidate } from "./candidate.ts";
import type { PlacementRequest } from "./request.ts";
import { numberCheck, stateCheck, wordCheck } from "./check.ts";
import type { Check } from "./check.ts";
import {
  affinityChecks,
  labelsCheck,
  reachCheck,
  residencyCheck,
  specialChecks,
  taintCheck,
} from "./special-checks.ts";
import { roundTripMs } from "./latency.ts";
import type { Peers } from "./peers.ts";
import { byName, type Naming } from "./naming.ts";
import { placeOf } from "./places.ts";
import type { RefusalReason } from "./refusal.ts";
import { memory, milliseconds } from "./wording.ts";

/** Everything that a request asks of a node, cheapest first; what it does not ask is not checked. */
export function checksFor(request: PlacementRequest, peers: Peers, naming: Naming = byName): readonly Check[] {
  return [
    ...stateChecks(request, naming),
    ...propertyChecks(request, naming),
    ...latencyChecks(request),
    ...affinityChecks(request, peers, naming),
    ...capacityChecks(request),
    ...specialChecks(request),
  ];
}

function stateChecks({ excludeNodes = [] }: PlacementRequest, naming: Naming): Check[] {
  const excluded = new Set(excludeNodes);
  return [
    stateCheck("excluded", `not ${excludeNodes.join(", ")}`, ["is ruled out", "are ruled out"], (node) =>
      excluded.has(node.name),
    ),
    stateCheck("unhealthy", "a healthy node", ["is not healthy", "are not healthy"], (node) => !node.healthy, {
      words: "health",
      nameOf: naming,
      advise: (names) => `bring ${names} back to health`,
    }),
    stateCheck(
      "unschedulable",
      "a node that is not cordoned",
      ["is cordoned", "are cordoned"],
      (node) => !node.schedulable,
      {
        words: "uncordoning",
        nameOf: (node) => node.cordonedBy ?? naming(node),
        advise: (names) => `uncordon ${names}`,
      },
    ),
  ];
}

function propertyChecks(
  { constraints, residency, tolerations = [], networks, storage }: PlacementRequest,
  naming: Naming,
): Check[] {
  const { nodes, sites, providers, countries, jurisdictions, tiers, minSovereigntyLevel, architecture, labels } =
    constraints;
  const checks: Check[] = [];
  const words = (
    reason: RefusalReason,
    relation: string,
    allowed: readonly string[] | undefined,
    of: (node: Candidate) => string,
  ): void => {
    if (allowed !== undefined) checks.push(wordCheck(reason, relation, allowed, of));
  };
  const nameOf = (node: Candidate): string => node.name;
  if (nodes !== undefined) checks.push(wordCheck("node", "", nodes, nameOf, naming === byName ? nameOf : naming));
  words("site", "at ", sites, (node) => node.site);
  words("provider", "of ", providers, (node) => node.provider);
  words("country", "in ", countries, (node) => node.country);
  words("jurisdiction", "under the law of ", jurisdictions, (node) => node.jurisdiction);
  if (residency !== undefined) checks.push(residencyCheck(residency));
  words("tier", "of tier ", tiers, (node) => node.tier);
  if (minSovereigntyLevel !== undefined) {
    checks.push(
      numberCheck("sovereignty", { atLeast: minSovereigntyLevel }, (node) => node.sovereigntyLevel, {
        asked: `level ${minSovereigntyLevel}`,
        verdict: [`is below level ${minSovereigntyLevel}`, `are below level ${minSovereigntyLevel}`],
        print: (level) => `level ${level}`,
        advise: (level) => `accept sovereignty ${level}`,
      }),
    );
  }
  words("architecture", "", architecture && [architecture], (node) => node.architecture);
  if (labels !== undefined) checks.push(labelsCheck(labels));
  checks.push(taintCheck(tolerations));
  if (networks !== undefined) checks.push(reachCheck("network", networks, (node) => node.networks));
  if (storage !== undefined) checks.push(reachCheck("storage", storage, (node) => node.storage));
  return checks;
}

function latencyChecks({ constraints }: PlacementRequest): Check[] {
  return (constraints.maxLatency ?? []).map((limit) => {
    const start = placeOf(limit.from);
    const asked = `${limit.milliseconds} ms from ${start.name}`;
    return numberCheck("latency", { atMost: limit.milliseconds }, (node) => roundTripMs(start, node).milliseconds, {
      asked,
      verdict: [`is over ${asked}`, `are over ${asked}`],
      print: milliseconds,
      advise: (printed) => `allow ${printed} from ${start.name}`,
    });
  });
}

function capacityChecks({ vcpus, memoryMiB, diskMiB }: PlacementRequest): Check[] {
  const atLeast = (
    reason: RefusalReason,
    asked: number,
    of: (node: Candidate) => number,
    print: (value: number) => string,
    noun: string,
  ): Check => {
    const has = `less than ${print(asked)}${noun} free`;
    return numberCheck(reason, { atLeast: asked }, of, {
      asked: `${print(asked)}${noun}`,
      verdict: [`has ${has}`, `have ${has}`],
      print,
      advise: (printed) => `ask for ${printed}${noun}`,
    });
  };
  return [
    atLeast(
      "capacity-vcpus",
      vcpus,
      (node) => freeOn(node).vcpus,
      (value) => `${value} vCPU`,
      "",
    ),
    atLeast("capacity-memory", memoryMiB, (node) => freeOn(node).memoryMiB, memory, " of memory"),
    atLeast("capacity-disk", diskMiB, (node) => freeOn(node).diskMiB, memory, " of disk"),
  ];
}
