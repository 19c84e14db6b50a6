import fc from "fast-check";
import type { Candidate, PlacementRequest } from "@skerry/placement";

const cities = { madrid: [40.42, -3.7], paris: [48.86, 2.35], berlin: [52.52, 13.4], oslo: [59.91, 10.75] } as const;
const countries = ["ES", "FR", "DE", "NO"] as const;
const providers = ["alpha", "beta", "gamma"] as const;
const tiers = ["cloud", "near-edge", "far-edge"] as const;
const architectures = ["x86_64", "aarch64"] as const;
const labels = fc.dictionary(fc.constantFrom("gpu", "disk"), fc.constantFrom("a", "b"), { maxKeys: 2 });

const mostly = fc.nat(7).map((number) => number > 0);

/** Small words, so that nodes and requests meet; few sizes, so that scores tie. */
const candidate = fc
  .record({
    site: fc.constantFrom(...(Object.keys(cities) as (keyof typeof cities)[])),
    provider: fc.constantFrom(...providers),
    country: fc.constantFrom(...countries),
    jurisdiction: fc.constantFrom(...countries),
    sovereigntyLevel: fc.nat(4),
    tier: fc.constantFrom(...tiers),
    labels,
    architecture: fc.constantFrom(...architectures),
    schedulable: mostly,
    healthy: mostly,
    capacity: fc.record({
      vcpus: fc.nat(8),
      memoryMiB: fc.constantFrom(0, 2048, 8192),
      diskMiB: fc.constantFrom(0, 20_480),
    }),
    used: fc.record({ vcpus: fc.nat(4), memoryMiB: fc.constantFrom(0, 1024), diskMiB: fc.constantFrom(0, 10_240) }),
  })
  .map((fields) => ({ ...fields, latitude: cities[fields.site][0], longitude: cities[fields.site][1] }));

export const fleet: fc.Arbitrary<readonly Candidate[]> = fc
  .array(candidate, { maxLength: 12 })
  .map((nodes) => nodes.map((fields, index) => ({ ...fields, name: `node-${index}`, id: `nod_${index}` })));

function some<T>(...words: readonly T[]): fc.Arbitrary<T[]> {
  return fc.uniqueArray(fc.constantFrom(...words), { minLength: 1, maxLength: words.length });
}

const constraints = fc.record(
  {
    nodes: some("node-0", "node-1", "node-2", "node-3", "node-4"),
    sites: some("madrid", "paris", "berlin", "oslo"),
    providers: some(...providers),
    countries: some(...countries),
    jurisdictions: some(...countries),
    tiers: some(...tiers),
    minSovereigntyLevel: fc.nat(4),
    architecture: fc.constantFrom(...architectures),
    labels,
    maxLatency: fc.array(
      fc.record({
        from: fc.constantFrom("Madrid", "Paris", { latitude: 50, longitude: 10 }),
        milliseconds: fc.double({ min: 1, max: 60, noNaN: true }),
      }),
      { minLength: 1, maxLength: 2 },
    ),
  },
  { requiredKeys: [] },
);

/** Requests with at most a few constraints, so that some are satisfied. */
export const request: fc.Arbitrary<PlacementRequest> = fc
  .record({
    vcpus: fc.integer({ min: 1, max: 4 }),
    memoryMiB: fc.constantFrom(512, 1024, 4096),
    diskMiB: fc.constantFrom(0, 5120, 10_240),
    constraints,
    kept: fc.uniqueArray(fc.nat(9), { maxLength: 3 }),
    excludeNodes: fc.array(fc.constantFrom("node-0", "node-1"), { maxLength: 1 }),
  })
  .map(({ constraints, kept, ...rest }) => ({
    ...rest,
    constraints: Object.fromEntries(Object.entries(constraints).filter((_, index) => kept.includes(index))),
  }));
