import { places } from "@skerry/placement";
import type { Candidate, PlacementRequest } from "@skerry/placement";

/*
 * A seeded continuum: a fifth of the nodes at far-edge sites of ten, two fifths at edge sites of a hundred, two fifths in clouds of a
 * thousand, near known cities; and what is asked of it. All of it is used unevenly before the first request.
 */

const near = places.filter(({ latitude, longitude }) => latitude > 35 && longitude > -25 && longitude < 40);
const kinds = [
  { tier: "far-edge", nodes: 10, sizes: [4, 8, 16], price: 0.06 },
  { tier: "in-country-edge", nodes: 100, sizes: [32, 64], price: 0.04 },
  { tier: "cloud", nodes: 1000, sizes: [64, 96, 128], price: 0.025 },
] as const;
/** Of ten nodes. */
const mixture = [0, 0, 1, 1, 1, 1, 2, 2, 2, 2] as const;
const sizes = [
  [1, 1024],
  [1, 2048],
  [2, 2048],
  [2, 8192],
  [4, 8192],
  [4, 32_768],
  [8, 16_384],
  [16, 65_536],
] as const;

export interface Workload {
  readonly nodes: readonly Candidate[];
  /** One of so many mixtures of size, constraints and weights that are asked for again and again, as flavours and services are. */
  readonly request: () => PlacementRequest;
  /** One that was never asked before. */
  readonly unseen: () => PlacementRequest;
  /** One that no node fits, for one of several reasons. */
  readonly refusal: () => PlacementRequest;
}

export function makeWorkload(count: number, shapes: number, random: () => number): Workload {
  const below = (end: number): number => Math.floor(random() * end);
  const one = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const chance = (part: number): boolean => random() < part;
  const nodes: Candidate[] = [];
  for (let sites = 0; nodes.length < count; sites++) {
    const kind = kinds[one(mixture)];
    // Large sites are as many nodes as small ones, so they come less often.
    if (chance(1 - 10 / kind.nodes)) continue;
    const city = one(near);
    const provider = below(40);
    const site = {
      site: `site-${sites}`,
      provider: `provider-${provider}`,
      country: city.country ?? "ES",
      jurisdiction: provider % 8 === 0 ? "US" : (city.country ?? "ES"),
      sovereigntyLevel: provider % 5,
      tier: kind.tier,
      latitude: city.latitude + random() - 0.5,
      longitude: city.longitude + random() - 0.5,
      carbonGramsPerKWh: 20 + below(600),
      eurosPerVcpuHour: kind.price * (0.7 + 0.6 * random()),
    };
    for (let number = 0; number < kind.nodes && nodes.length < count; number++) {
      const vcpus = one(kind.sizes);
      const capacity = { vcpus, memoryMiB: vcpus * 4096, diskMiB: vcpus * 40_960 };
      const use = (amount: number): number => Math.floor(amount * Math.min(1, 0.35 + 0.5 * random()));
      const hasGpu = kind.tier !== "far-edge" && number % 50 === 0;
      nodes.push({
        ...site,
        name: `${site.site}-${String(number).padStart(4, "0")}`,
        id: `nod_${nodes.length}`,
        labels: { disk: number % 3 === 0 ? "hdd" : "ssd", rack: `r${number % 40}` },
        architecture: number % 10 === 9 ? "aarch64" : "x86_64",
        schedulable: !chance(0.01),
        healthy: !chance(0.01),
        capacity,
        used: { vcpus: use(vcpus), memoryMiB: use(capacity.memoryMiB), diskMiB: use(capacity.diskMiB) },
        ...(hasGpu ? { spare: { devices: { "nvidia-l4": 4 } }, taints: ["gpu=only"] } : {}),
      });
    }
  }
  const cities = near.slice(0, 40);
  const wish = (): PlacementRequest["constraints"] => ({
    ...(chance(0.3) ? { countries: [one(near).country ?? "ES", one(near).country ?? "FR"] } : {}),
    ...(chance(0.1) ? { jurisdictions: [one(near).country ?? "ES", "DE", "FR"] } : {}),
    ...(chance(0.1) ? { providers: [`provider-${below(40)}`, `provider-${below(40)}`, `provider-${below(40)}`] } : {}),
    ...(chance(0.3) ? { tiers: [one(kinds).tier] } : {}),
    ...(chance(0.2) ? { minSovereigntyLevel: 1 + below(3) } : {}),
    ...(chance(0.2) ? { labels: { disk: "ssd" } } : {}),
    ...(chance(0.3) ? { architecture: chance(0.9) ? "x86_64" : "aarch64" } : {}),
    ...(chance(0.3) ? { maxLatency: [{ from: one(cities).name, milliseconds: 8 + below(30) }] } : {}),
  });
  const weights = (): NonNullable<PlacementRequest["weights"]> =>
    one([{ price: 1, spread: 0.2 }, { carbon: 1, spread: 0.2 }, { price: 0.5, carbon: 0.5, spread: 0.5 }, { pack: 1 }]);
  const sized = (): PlacementRequest => {
    const [vcpus, memoryMiB] = one(sizes);
    return { vcpus, memoryMiB, diskMiB: one([10_240, 20_480, 40_960]), constraints: {} };
  };
  const shape = (): PlacementRequest => {
    const constraints = wish();
    return {
      ...sized(),
      constraints,
      ...(chance(0.4) ? { weights: weights() } : {}),
      ...(constraints.maxLatency !== undefined && chance(0.3) ? { weights: { latency: 1, spread: 0.5 } } : {}),
      ...(chance(0.1)
        ? { affinity: [{ relation: "apart" as const, by: "site" as const, nodes: [one(nodes).name, one(nodes).name] }] }
        : {}),
      ...(chance(0.03) ? { devices: { "nvidia-l4": 1 }, tolerations: ["gpu=only"] } : {}),
    };
  };
  const kept = Array.from({ length: shapes }, shape);
  const refusals: readonly (() => PlacementRequest)[] = [
    () => ({ ...sized(), constraints: wish(), vcpus: 129 + below(8) }),
    () => ({ ...sized(), constraints: { ...wish(), labels: { disk: "ssd", rack: "none" } } }),
    () => ({ ...sized(), constraints: { maxLatency: [{ from: one(cities).name, milliseconds: 2.9 }] } }),
    () => ({ ...sized(), constraints: { jurisdictions: ["US"], minSovereigntyLevel: 4, providers: ["provider-1"] } }),
    () => ({ ...sized(), constraints: { tiers: ["far-edge"] }, vcpus: 17 }),
    () => ({ ...sized(), constraints: wish(), devices: { "nvidia-l4": 1 }, tolerations: [] }),
    () => ({ ...sized(), constraints: {}, residency: ["ES", "IS"], vcpus: 128, memoryMiB: 500_000 }),
  ];
  return {
    nodes,
    request: () => one(kept),
    unseen: () => ({ ...shape(), seed: below(2 ** 31) }),
    refusal: () => one(refusals)(),
  };
}
