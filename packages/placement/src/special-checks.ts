import { cellsWithRoom } from "./candidate.ts";
import type { Candidate } from "./candidate.ts";
import { itemsCheck, numberCheck } from "./check.ts";
import type { Check } from "./check.ts";
import type { Naming } from "./naming.ts";
import type { Peers } from "./peers.ts";
import { domainOf } from "./explanation/score-parts.ts";
import type { AffinityTerm, PlacementRequest } from "./request.ts";
import { memory } from "./wording.ts";

/** Labels that must all be there. */
export function labelsCheck(labels: Readonly<Record<string, string>>): Check {
  const wanted = Object.entries(labels);
  const print = ([key, value]: readonly [string, string]): string => `${key}=${value}`;
  const asked = wanted.map(print).join(", ");
  const verdict = wanted.length === 1 ? asked : `one or more of ${asked}`;
  const missing = (node: Candidate): string[] => wanted.filter(([key, value]) => node.labels[key] !== value).map(print);
  return itemsCheck("labels", missing, {
    asked,
    verdict: [`lacks ${verdict}`, `lack ${verdict}`],
    words: (label) => `going without ${label}`,
    advise: (label) => `drop the label ${label}`,
  });
}

/** Both the site and the law that binds the provider must be of these countries. */
export function residencyCheck(countries: readonly string[]): Check {
  const missing = ({ country, jurisdiction }: Candidate): string[] =>
    [...new Set([country, jurisdiction])].filter((word) => !countries.includes(word));
  const verdict = `not in and under the law of ${countries.join(" or ")}`;
  return itemsCheck("residency", missing, {
    asked: countries.join(", "),
    verdict: [`is ${verdict}`, `are ${verdict}`],
    words: (country) => country,
    advise: (country) => `allow its data in ${country}`,
  });
}

/** Taints of a node must all be tolerated. */
export function taintCheck(tolerations: readonly string[]): Check {
  const missing = ({ taints = [] }: Candidate): string[] => taints.filter((taint) => !tolerations.includes(taint));
  return itemsCheck("taint", missing, {
    asked: tolerations.length === 0 ? "no taint" : `no taint but ${tolerations.join(", ")}`,
    verdict: ["has a taint that is not tolerated", "have taints that are not tolerated"],
    words: (taint) => `tolerating ${taint}`,
    advise: (taint) => `tolerate ${taint}`,
  });
}

export function reachCheck(
  reason: "network" | "storage",
  asked: readonly string[],
  reachedBy: (node: Candidate) => readonly string[] | undefined,
): Check {
  const missing = (node: Candidate): string[] => {
    const reached = reachedBy(node);
    return reached === undefined ? [] : asked.filter((name) => !reached.includes(name));
  };
  return itemsCheck(reason, missing, {
    asked: asked.join(", "),
    verdict: [`does not reach ${asked.join(" and ")}`, `do not reach ${asked.join(" and ")}`],
    words: (name) => `going without ${name}`,
    advise: (name) => `do without the ${reason} ${name}`,
  });
}

/** One for each hard term whose peers are somewhere. */
export function affinityChecks({ affinity = [] }: PlacementRequest, peers: Peers, naming: Naming): Check[] {
  return affinity.flatMap((term) => {
    if (term.weight !== undefined) return [];
    const nodes = term.nodes.flatMap((name) => peers.named(name) ?? []);
    const domains = new Set(nodes.map((node) => domainOf(node, term)));
    const names = new Set(nodes.map((node) => (term.by === "node" ? naming(node) : domainOf(node, term))));
    return domains.size === 0 ? [] : [affinityCheck(term, domains, [...names])];
  });
}

function affinityCheck(term: AffinityTerm, domains: ReadonlySet<string>, printed: readonly string[]): Check {
  const names = printed.toSorted().join(" or ");
  const asked = term.relation === "with" ? `the ${term.by} ${names}` : `a ${term.by} other than ${names}`;
  const missing = (node: Candidate): string[] =>
    (term.relation === "with") === domains.has(domainOf(node, term)) ? [] : [asked];
  const verdict = `${term.relation === "with" ? "not in" : "in"} the ${term.by} ${names}`;
  return itemsCheck("affinity", missing, {
    asked,
    verdict: [`is ${verdict}`, `are ${verdict}`],
    words: () => `not asking for ${asked}`,
    advise: () => `do not ask for ${asked}`,
  });
}

/** What cannot be shared: devices, hugepages, and cells of processors. */
export function specialChecks(request: PlacementRequest): Check[] {
  const { devices = {}, hugepagesMiB = 0, pinnedCells = 0 } = request;
  const checks: Check[] = Object.entries(devices).map(([kind, count]) =>
    numberCheck("device", { atLeast: count }, (node) => node.spare?.devices?.[kind] ?? 0, {
      asked: `${count} ${kind}`,
      verdict: [`has less than ${count} ${kind} free`, `have less than ${count} ${kind} free`],
      print: (value) => `${value} ${kind}`,
      advise: (printed) => `ask for ${printed}`,
    }),
  );
  if (hugepagesMiB > 0) {
    const has = `less than ${memory(hugepagesMiB)} of hugepages free`;
    checks.push(
      numberCheck("hugepages", { atLeast: hugepagesMiB }, (node) => node.spare?.hugepagesMiB ?? 0, {
        asked: `${memory(hugepagesMiB)} of hugepages`,
        verdict: [`has ${has}`, `have ${has}`],
        print: memory,
        advise: (printed) => `ask for ${printed} of hugepages`,
      }),
    );
  }
  if (pinnedCells > 0) {
    const asked =
      pinnedCells === 1 ? "all of it in one NUMA cell" : `an equal share in each of ${pinnedCells} NUMA cells`;
    const missing = (node: Candidate): string[] =>
      cellsWithRoom(node, request, pinnedCells) >= pinnedCells ? [] : [asked];
    checks.push(
      itemsCheck("pinning", missing, {
        asked,
        verdict: [`has no room for ${asked}`, `have no room for ${asked}`],
        words: () => "not pinning",
        advise: () => "do not pin it",
      }),
    );
  }
  return checks;
}
