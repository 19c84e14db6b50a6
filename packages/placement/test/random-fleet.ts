import type { Candidate, PlacementRequest } from "@skerry/placement";

export type Random = () => number;

export interface Dice {
  readonly random: Random;
  /** From 0 to below `end`. */
  readonly whole: (end: number) => number;
  readonly chance: (part: number) => boolean;
  readonly one: <T>(list: readonly T[]) => T;
  readonly some: <T>(list: readonly T[], most: number) => T[];
}

export function diceOf(random: Random): Dice {
  const whole = (end: number): number => Math.floor(random() * end);
  const one = <T>(list: readonly T[]): T => list[whole(list.length)] as T;
  return {
    random,
    whole,
    chance: (part) => random() < part,
    one,
    some: (list, most) => [...new Set(Array.from({ length: 1 + whole(most) }, () => one(list)))],
  };
}

const countries = ["ES", "FR", "DE", "NO", "PL", "IT"] as const;
const providers = ["alpha", "beta", "gamma", "delta"] as const;
const tiers = ["cloud", "near-edge", "far-edge"] as const;
const kinds = ["nvidia-l4", "fpga"] as const;
const taints = ["gpu=only", "dirty=yes"] as const;
const networks = ["lan", "wan"] as const;
const stores = ["ceph", "nvme"] as const;
const places = ["Madrid", "Paris", "Warsaw"] as const;

type SiteFacts = Pick<
  Candidate,
  | "site"
  | "provider"
  | "country"
  | "jurisdiction"
  | "sovereigntyLevel"
  | "tier"
  | "latitude"
  | "longitude"
  | "carbonGramsPerKWh"
  | "eurosPerVcpuHour"
  | "overcommit"
  | "measuredMs"
>;

function site(dice: Dice, number: number): SiteFacts {
  const { whole, chance, one, random } = dice;
  return {
    site: `site-${number}`,
    provider: one(providers),
    country: one(countries),
    jurisdiction: one(countries),
    sovereigntyLevel: whole(5),
    tier: one(tiers),
    latitude: 36 + 24 * random(),
    longitude: -9 + 30 * random(),
    ...(chance(0.7) ? { carbonGramsPerKWh: whole(8) * 100 } : {}),
    ...(chance(0.7) ? { eurosPerVcpuHour: whole(10) / 50 } : {}),
    ...(chance(0.3) ? { overcommit: { vcpus: one([1.5, 4]), memoryMiB: one([1, 1.25]) } } : {}),
    ...(chance(0.3) ? { measuredMs: { Madrid: 5 + whole(30), Paris: 5 + whole(30) } } : {}),
  };
}

function special(dice: Dice): Pick<Candidate, "spare" | "taints" | "networks" | "storage"> {
  const { whole, chance, some } = dice;
  return {
    ...(chance(0.1) ? { taints: some(taints, 2) } : {}),
    ...(chance(0.2) ? { networks: chance(0.2) ? [] : some(networks, 2) } : {}),
    ...(chance(0.2) ? { storage: some(stores, 1) } : {}),
    ...(chance(0.25)
      ? {
          spare: {
            ...(chance(0.7) ? { devices: Object.fromEntries(some(kinds, 2).map((kind) => [kind, whole(4)])) } : {}),
            ...(chance(0.7) ? { hugepagesMiB: 1024 * whole(5) } : {}),
            ...(chance(0.7)
              ? {
                  cells: Array.from({ length: 1 + whole(4) }, () => ({
                    vcpus: whole(9),
                    memoryMiB: 1024 * whole(9),
                  })),
                }
              : {}),
          },
        }
      : {}),
  };
}

/** Makes nodes of a few sites, few sizes and few loads, so that many are equal. */
export function makeNodes(dice: Dice, count: number): (number: number) => Candidate {
  const { whole, chance, one } = dice;
  const sites = Array.from({ length: 1 + whole(Math.ceil(count / 5)) }, (_, number) => site(dice, number));
  // Names that have nothing to do with where nodes are, or begin with it.
  const isNamedBySite = chance(0.5);
  const busy = one([0, 0.3, 0.9]);
  return (number) => {
    const at = one(sites);
    const capacity = one([
      { vcpus: 4, memoryMiB: 8192, diskMiB: 40_960 },
      { vcpus: 16, memoryMiB: 65_536, diskMiB: 204_800 },
      { vcpus: 64, memoryMiB: 131_072, diskMiB: 409_600 },
      { vcpus: 8, memoryMiB: 131_072, diskMiB: 0 },
    ]);
    const share = (amount: number): number => (chance(busy) ? Math.floor((amount * whole(9)) / 8) : 0);
    return {
      ...at,
      ...special(dice),
      name: isNamedBySite ? `${at.site}-${number}` : `n${(number * 7919) % 10_007}-${number}`,
      id: `nod_${number}`,
      labels: chance(0.4) ? { [one(["disk", "rack"])]: one(["a", "b", "c"]) } : {},
      architecture: chance(0.8) ? "x86_64" : "aarch64",
      healthy: chance(0.95),
      schedulable: chance(0.95),
      capacity,
      used: { vcpus: share(capacity.vcpus), memoryMiB: share(capacity.memoryMiB), diskMiB: share(capacity.diskMiB) },
    };
  };
}

/** A request that asks few of all the things that can be asked. */
export function randomRequest(dice: Dice, nodes: readonly Candidate[]): PlacementRequest {
  const { whole, chance, one, some, random } = dice;
  const asks = one([0.03, 0.12]);
  const names = nodes.map(({ name }) => name);
  const named = (): string[] => (names.length === 0 ? ["gone"] : [...some(names, 6), ...(chance(0.1) ? ["gone"] : [])]);
  const may = <K extends string, V>(key: K, value: () => V): { [P in K]?: V } =>
    chance(asks) ? ({ [key]: value() } as { [P in K]?: V }) : {};
  const from = (): (typeof places)[number] | { latitude: number; longitude: number } =>
    chance(0.7) ? one(places) : { latitude: 40 + whole(10), longitude: whole(20) };
  const weight = (): number => (chance(0.4) ? 0 : one([0.1, 0.5, 1, random()]));
  return {
    vcpus: 1 + whole(4),
    memoryMiB: one([512, 1000, 4096, 16_384]),
    diskMiB: one([0, 5120, 10_240]),
    constraints: {
      ...may("countries", () => some(countries, 3)),
      ...may("jurisdictions", () => some(countries, 3)),
      ...may("providers", () => some(providers, 3)),
      ...may("sites", () => some(nodes.map(({ site }) => site).concat("none"), 4)),
      ...may("nodes", named),
      ...may("tiers", () => some(tiers, 2)),
      ...may("minSovereigntyLevel", () => whole(5)),
      ...may("labels", () => ({ [one(["disk", "rack"])]: one(["a", "b", "c", "d"]) })),
      ...may("architecture", () => one(["x86_64", "aarch64"] as const)),
      ...may("maxLatency", () =>
        Array.from({ length: 1 + whole(2) }, () => ({ from: from(), milliseconds: 5 + 40 * random() })),
      ),
    },
    ...may("excludeNodes", named),
    ...may("residency", () => some(countries, 4)),
    ...may("tolerations", () => some(taints, 2)),
    ...may("devices", () => ({ [one([...kinds, "none"])]: 1 + whole(2) })),
    ...may("hugepagesMiB", () => 1024 * (1 + whole(4))),
    ...may("pinnedCells", () => 1 + whole(2)),
    ...may("networks", () => some(networks, 2)),
    ...may("storage", () => some([...stores, "none"], 1)),
    ...(chance(0.4)
      ? {
          affinity: Array.from({ length: 1 + whole(2) }, () => ({
            relation: one(["with", "apart"] as const),
            by: one(["node", "site", "provider", "country"] as const),
            nodes: chance(0.1) ? [] : named(),
            ...(chance(0.7) ? { weight: one([0.1, 0.5, random()]) } : {}),
          })),
        }
      : {}),
    ...(chance(0.7)
      ? {
          weights: {
            ...(chance(0.8) ? { spread: weight() } : {}),
            ...(chance(0.3) ? { pack: weight() } : {}),
            ...(chance(0.4) ? { price: weight() } : {}),
            ...(chance(0.4) ? { carbon: weight() } : {}),
            ...(chance(0.4) ? { latency: weight() } : {}),
          },
        }
      : {}),
    ...(chance(0.3) ? { latencyFrom: [one(places)] } : {}),
    ...(chance(0.2) ? { stayPut: { node: one(named()), cost: one([0.05, 0.3]) } } : {}),
    ...(chance(0.3) ? { seed: whole(1e9) } : {}),
  };
}
