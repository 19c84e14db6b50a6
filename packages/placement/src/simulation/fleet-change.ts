import type { Candidate } from "../candidate.ts";
import type { NodeFleet } from "../fleet/fleet.ts";
import type { AffinityScope } from "../request.ts";
import type { Steps } from "../steps.ts";

/** Of a site, for all its nodes. */
export type SiteFacts = Partial<
  Pick<Candidate, "carbonGramsPerKWh" | "eurosPerVcpuHour" | "overcommit" | "measuredMs" | "schedulable">
>;

/** What a fleet could be like. */
export type FleetChange =
  | { readonly change: "without"; readonly what: AffinityScope; readonly name: string }
  | { readonly change: "nodes"; readonly nodes: readonly Candidate[] }
  | { readonly change: "site"; readonly site: string; readonly facts: SiteFacts };

const looksPerStep = 512;

/** Makes a fleet so; gives how many nodes each of the changes took away, brought or changed. */
export function* changeFleet(fleet: NodeFleet, changes: readonly FleetChange[]): Steps<readonly number[]> {
  const counts: number[] = [];
  for (const change of changes) {
    yield;
    counts.push(yield* apply(fleet, change));
  }
  return counts;
}

function* apply(fleet: NodeFleet, change: FleetChange): Steps<number> {
  switch (change.change) {
    case "without": {
      const gone = yield* nodesWhere(fleet, (node) => wordOf(node, change.what) === change.name);
      yield* each(gone, ({ id }) => fleet.remove(id));
      return gone.length;
    }
    case "nodes":
      yield* each(change.nodes, (node) => fleet.put(node));
      return change.nodes.length;
    case "site": {
      const there = yield* nodesWhere(fleet, ({ site }) => site === change.site);
      const { measuredMs, ...facts } = change.facts;
      yield* each(there, (node) => {
        const measured = { ...node.measuredMs, ...measuredMs };
        fleet.put({ ...node, ...facts, ...(Object.keys(measured).length === 0 ? {} : { measuredMs: measured }) });
      });
      return there.length;
    }
  }
}

function* nodesWhere(fleet: NodeFleet, matches: (node: Candidate) => boolean): Steps<Candidate[]> {
  const found: Candidate[] = [];
  let looks = 0;
  for (const node of fleet.nodes()) {
    if (++looks % looksPerStep === 0) yield;
    if (matches(node)) found.push(node);
  }
  return found;
}

function* each<T>(list: readonly T[], work: (one: T) => void): Steps<void> {
  for (const [index, one] of list.entries()) {
    if (index % looksPerStep === looksPerStep - 1) yield;
    work(one);
  }
}

function wordOf(node: Candidate, what: AffinityScope): string {
  return what === "node" ? node.name : node[what];
}
