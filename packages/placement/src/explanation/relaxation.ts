import type { Candidate } from "../candidate.ts";
import { roundTripMs } from "../latency.ts";
import { byName, type Naming } from "../naming.ts";
import { placeOf } from "../places.ts";
import type { RefusalReason } from "../refusal.ts";
import type { AffinityTerm, PlacementRequest } from "../request.ts";
import { memory, milliseconds } from "../wording.ts";

/** One thing that is asked, and the request without it. */
export interface Relaxation {
  readonly reason: RefusalReason;
  readonly asked: string;
  readonly without: PlacementRequest;
  /** The request that this node satisfies, changed in this one thing as little as may be, and what it asks instead, in words. */
  readonly towards: (node: Candidate) => { readonly request: PlacementRequest; readonly instead: string };
  /** Of a limit: requests whose best node needs the least change, the first that any fits. */
  readonly nearest?: readonly PlacementRequest[];
}

/** Every constraint of a request, each dropped by itself. What is asked of the size of nodes is in `smaller`. */
export function relaxations(
  request: PlacementRequest,
  taintsKnown: readonly string[],
  naming: Naming = byName,
): readonly Relaxation[] {
  return [
    ...wordRelaxations(request, naming),
    ...itemRelaxations(request, taintsKnown),
    ...latencyRelaxations(request),
    ...affinityRelaxations(request),
  ];
}

function wordRelaxations(request: PlacementRequest, naming: Naming): Relaxation[] {
  const { constraints: wish, residency } = request;
  const found: Relaxation[] = [];
  const constrained = (constraints: PlacementRequest["constraints"]): PlacementRequest => ({ ...request, constraints });
  const add = (
    reason: RefusalReason,
    field: "nodes" | "sites" | "providers" | "countries" | "jurisdictions" | "tiers",
    of: (node: Candidate) => string,
    print: (node: Candidate) => string = (node) => `${reason} ${of(node)}`,
  ): void => {
    const { [field]: asked, ...rest } = wish;
    if (asked === undefined) return;
    found.push({
      reason,
      asked: asked.join(", "),
      without: constrained(rest),
      towards: (node) => ({
        request: constrained({ ...wish, [field]: [...asked, of(node)] }),
        instead: `${print(node)} too`,
      }),
    });
  };
  add(
    "node",
    "nodes",
    ({ name }) => name,
    (node) => (naming(node) === node.name ? `node ${node.name}` : naming(node)),
  );
  add("site", "sites", (node) => node.site);
  add("provider", "providers", (node) => node.provider);
  add("country", "countries", (node) => node.country);
  add("jurisdiction", "jurisdictions", (node) => node.jurisdiction);
  add("tier", "tiers", (node) => node.tier);
  const { residency: _, ...unbound } = request;
  if (residency !== undefined) {
    found.push({
      reason: "residency",
      asked: residency.join(", "),
      without: unbound,
      towards: ({ country, jurisdiction }) => {
        const more = [...new Set([country, jurisdiction])].filter((word) => !residency.includes(word));
        return {
          request: { ...request, residency: [...residency, ...more] },
          instead: `data in ${more.join(" and ")} too`,
        };
      },
    });
  }
  const { minSovereigntyLevel, ...lessSovereign } = wish;
  if (minSovereigntyLevel !== undefined) {
    found.push({
      reason: "sovereignty",
      asked: `level ${minSovereigntyLevel}`,
      without: constrained(lessSovereign),
      towards: ({ sovereigntyLevel }) => ({
        request: constrained({ ...wish, minSovereigntyLevel: sovereigntyLevel }),
        instead: `sovereignty level ${sovereigntyLevel}`,
      }),
      nearest: Array.from({ length: minSovereigntyLevel }, (_, step) =>
        constrained({ ...wish, minSovereigntyLevel: minSovereigntyLevel - 1 - step }),
      ),
    });
  }
  const { architecture, ...anywhere } = wish;
  if (architecture !== undefined) {
    found.push({
      reason: "architecture",
      asked: architecture,
      without: constrained(anywhere),
      towards: (node) => ({
        request: constrained({ ...wish, architecture: node.architecture }),
        instead: node.architecture,
      }),
    });
  }
  return found;
}

/** Things of which each may be done without. */
function itemRelaxations(request: PlacementRequest, taintsKnown: readonly string[]): Relaxation[] {
  const { constraints: wish, tolerations = [], networks = [], storage = [], devices = {} } = request;
  const drop = (
    reason: RefusalReason,
    asked: string,
    without: PlacementRequest,
    instead = `without ${asked}`,
  ): Relaxation => ({
    reason,
    asked,
    without,
    towards: () => ({ request: without, instead }),
  });
  const found = Object.entries(wish.labels ?? {}).map(([key, value]) => {
    const labels = Object.fromEntries(Object.entries(wish.labels ?? {}).filter(([other]) => other !== key));
    return drop("labels", `${key}=${value}`, { ...request, constraints: { ...wish, labels } });
  });
  found.push({
    reason: "taint",
    asked: "no taint",
    without: { ...request, tolerations: taintsKnown },
    towards: ({ taints = [] }) => {
      const more = taints.filter((taint) => !tolerations.includes(taint));
      return {
        request: { ...request, tolerations: [...tolerations, ...more] },
        instead: `tolerating ${more.join(" and ")}`,
      };
    },
  });
  for (const name of networks)
    found.push(drop("network", name, { ...request, networks: networks.filter((other) => other !== name) }));
  for (const name of storage)
    found.push(drop("storage", name, { ...request, storage: storage.filter((other) => other !== name) }));
  for (const [kind, count] of Object.entries(devices)) {
    const others = Object.fromEntries(Object.entries(devices).filter(([other]) => other !== kind));
    found.push(drop("device", `${count} ${kind}`, { ...request, devices: others }, `without ${kind}`));
  }
  const { hugepagesMiB, ...plainPages } = request;
  if (hugepagesMiB !== undefined) found.push(drop("hugepages", `${memory(hugepagesMiB)} of hugepages`, plainPages));
  const { pinnedCells, ...unpinned } = request;
  if (pinnedCells !== undefined) found.push(drop("pinning", `${pinnedCells} NUMA cells`, unpinned, "without pinning"));
  return found;
}

function latencyRelaxations(request: PlacementRequest): Relaxation[] {
  const { constraints: wish } = request;
  const limits = wish.maxLatency ?? [];
  return limits.map((limit, index) => {
    const start = placeOf(limit.from);
    // Whatever counts in the score still counts.
    const { stayPut: _, ...unbound } = request;
    const without = {
      ...request,
      latencyFrom: request.latencyFrom ?? limits.map(({ from }) => from),
      constraints: { ...wish, maxLatency: limits.filter((_, other) => other !== index) },
    };
    return {
      reason: "latency" as const,
      asked: `${limit.milliseconds} ms from ${start.name}`,
      without,
      towards: (node) => {
        const needed = roundTripMs(start, node).milliseconds;
        const maxLatency = limits.map((other) => (other === limit ? { ...limit, milliseconds: needed } : other));
        return {
          request: { ...request, constraints: { ...wish, maxLatency } },
          instead: `${milliseconds(needed)} instead of ${milliseconds(limit.milliseconds)} from ${start.name}`,
        };
      },
      nearest: [
        {
          ...unbound,
          constraints: without.constraints,
          weights: { latency: 1 },
          latencyFrom: [limit.from],
          affinity: hardOnly(request.affinity),
        },
      ],
    };
  });
}

function affinityRelaxations(request: PlacementRequest): Relaxation[] {
  const { affinity = [] } = request;
  return affinity.flatMap((term) => {
    if (term.weight !== undefined) return [];
    const without = { ...request, affinity: affinity.filter((other) => other !== term) };
    const asked = `${term.relation === "with" ? "the same" : "another"} ${term.by} as its peers`;
    return [{ reason: "affinity", asked, without, towards: () => ({ request: without, instead: `not ${asked}` }) }];
  });
}

function hardOnly(affinity: readonly AffinityTerm[] = []): readonly AffinityTerm[] {
  return affinity.filter(({ weight }) => weight === undefined);
}

/** Of each resource, the request with so much of it. */
export function smaller(request: PlacementRequest): readonly {
  reason: RefusalReason;
  asked: number;
  least: number;
  print: (amount: number) => string;
  with: (amount: number) => PlacementRequest;
}[] {
  const { vcpus, memoryMiB, diskMiB } = request;
  return [
    {
      reason: "capacity-vcpus",
      asked: vcpus,
      least: 1,
      print: (amount) => `${amount} vCPU`,
      with: (amount) => ({ ...request, vcpus: amount }),
    },
    {
      reason: "capacity-memory",
      asked: memoryMiB,
      least: 32,
      print: (amount) => `${memory(amount)} of memory`,
      with: (amount) => ({ ...request, memoryMiB: amount }),
    },
    {
      reason: "capacity-disk",
      asked: diskMiB,
      least: 1,
      print: (amount) => `${memory(amount)} of disk`,
      with: (amount) => ({ ...request, diskMiB: amount }),
    },
  ];
}
