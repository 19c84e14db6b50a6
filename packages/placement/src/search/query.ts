import { cellShare } from "../candidate.ts";
import type { Cell } from "../candidate.ts";
import { bit, flag } from "../fleet/columns.ts";
import type { Columns } from "../fleet/columns.ts";
import type { NodeFleet } from "../fleet/fleet.ts";
import type { LatencyTable } from "../fleet/latency-table.ts";
import type { SizeTable } from "../fleet/size-table.ts";
import { bitsOf, labelWord, networkWord, storageWord } from "../fleet/words.ts";
import type { Locale, Words } from "../fleet/words.ts";
import { placeOf } from "../places.ts";
import type { AffinityTerm, PlacementRequest, Weights } from "../request.ts";
import type { Memo } from "./memo.ts";

/** One bit at least of these must be set in a row of bits; where it only costs, `cost` is added where none is. */
export interface BitTest {
  readonly word: number;
  readonly low: number;
  readonly high: number;
}

/** Which locales a set of words allows, by one number of each. */
export interface Allowed {
  readonly of: "country" | "jurisdiction" | "provider" | "site" | "tier";
  readonly numbers: ReadonlySet<number>;
}

/** An affinity by site, provider or country, as what it makes of each number. */
export interface DomainTerm {
  readonly of: "site" | "provider" | "country";
  readonly relation: AffinityTerm["relation"];
  /** Peers in each. */
  readonly peers: ReadonlyMap<number, number>;
  /** Undefined where it is hard. */
  readonly weight: number | undefined;
}

export interface NodeTerm {
  readonly relation: AffinityTerm["relation"];
  /** Peers on the node at each slot. */
  readonly peers: ReadonlyMap<number, number>;
  readonly weight: number | undefined;
}

/** A request in the numbers of a fleet, for its columns of now. */
export interface Query {
  readonly fleet: NodeFleet;
  readonly columns: Columns;
  readonly memo: Memo;
  readonly stamp: number;
  readonly vcpus: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
  /** Undefined for a size that is seldom asked for. */
  readonly sizes: SizeTable | undefined;
  readonly spread: number;
  readonly pack: number;
  readonly price: number;
  readonly carbon: number;
  readonly latency: number;
  /** Whether nothing but how much nodes are used, and single nodes, makes one better. */
  readonly isUnweighted: boolean;
  /** Rank from which equal nodes are taken, round and round. */
  readonly startRank: number;
  readonly tests: readonly BitTest[];
  /** Softly: what it costs in rows without any of the bits. */
  readonly softTests: readonly (BitTest & { readonly cost: number })[];
  readonly allowed: readonly Allowed[];
  readonly minSovereigntyLevel: number;
  readonly limits: readonly { readonly table: LatencyTable; readonly milliseconds: number }[];
  readonly from: readonly LatencyTable[];
  readonly domainTerms: readonly DomainTerm[];
  /** What must be looked at on each node, beyond what is free and its locale. */
  readonly isPlain: boolean;
  readonly architecture: number;
  readonly labels: readonly number[];
  readonly tolerated: ReadonlySet<number>;
  /** Each of these, or the word that stands for all such. */
  readonly reach: readonly (readonly [number, number])[];
  readonly onlySlots: ReadonlySet<number> | undefined;
  readonly notSlots: ReadonlySet<number>;
  readonly devices: readonly (readonly [kind: number, count: number])[];
  readonly hugepagesMiB: number;
  readonly cells: number;
  readonly cellShare: Cell;
  readonly nodeTerms: readonly NodeTerm[];
}

const allKinds = flag.x86_64 | flag.aarch64;

/**
 * Takes a request apart for the fleet as it is now; good until a node is added or taken out. 1 to 3 us.
 * @throws SkerryError invalid-request where a named place is not known
 */
export function makeQuery(fleet: NodeFleet, request: PlacementRequest, memo: Memo): Query {
  fleet.settle();
  fleet.mend();
  const { words, columns } = fleet;
  const { constraints: wish, weights = spreadOnly } = request;
  const tests: BitTest[] = [];
  const allowed = allowedBy(words, request);
  for (const { of, numbers } of allowed)
    tests.push(of === "tier" ? tierTest(numbers) : { word: bit[of], ...bitsOf(numbers) });
  if (wish.architecture !== undefined) tests.push({ word: bit.kind, low: flag[wish.architecture], high: 0 });
  const labels = Object.entries(wish.labels ?? {}).map((label) => words.labels.find(labelWord(label)) ?? -1);
  for (const label of labels) tests.push({ word: bit.label, ...(label < 0 ? none : bitsOf([label])) });
  const reach = reachOf(words, request);
  for (const pair of reach) tests.push({ word: bit.reach, ...bitsOf(pair.filter((number) => number >= 0)) });
  const tolerated = new Set((request.tolerations ?? []).flatMap((taint) => words.taints.find(taint) ?? []));
  tests.push({ word: bit.taint, ...bitsOf([0, ...[...tolerated].map((taint) => taint + 1)]) });
  const devices = Object.entries(request.devices ?? {}).map(
    ([kind, count]) => [words.devices.find(kind) ?? -1, count] as const,
  );
  // The second of the two words, whatever the first one has.
  for (const [kind] of devices) tests.push({ word: bit.kind, low: 0, high: kind < 0 ? 0 : 1 << kind });
  const terms = termsOf(fleet, request);
  for (const { of, relation, peers, weight } of terms.domains)
    if (relation === "with" && weight === undefined) tests.push({ word: bit[of], ...bitsOf(peers.keys()) });
  const slots = (names: readonly string[]): Set<number> =>
    new Set(names.flatMap((name) => fleet.slotNamed(name) ?? []));
  const onlySlots = wish.nodes === undefined ? undefined : slots(wish.nodes);
  const limits = (wish.maxLatency ?? []).map(({ from, milliseconds }) => ({
    table: fleet.latencies.of(placeOf(from)),
    milliseconds,
  }));
  const weighsLatency = (weights.latency ?? 0) > 0;
  const from = !weighsLatency
    ? []
    : (request.latencyFrom?.map((from) => fleet.latencies.of(placeOf(from))) ?? limits.map(({ table }) => table));
  const cells = request.pinnedCells ?? 0;
  const notSlots = slots(request.excludeNodes ?? []);
  return {
    fleet,
    columns,
    memo,
    stamp: memo.begin(words.locales.length),
    vcpus: request.vcpus,
    memoryMiB: request.memoryMiB,
    diskMiB: request.diskMiB,
    sizes: fleet.sizes.of(fleet, request),
    spread: weights.spread ?? 0,
    pack: weights.pack ?? 0,
    price: weights.price ?? 0,
    carbon: weights.carbon ?? 0,
    latency: weights.latency ?? 0,
    isUnweighted:
      (weights.price ?? 0) === 0 &&
      (weights.carbon ?? 0) === 0 &&
      !weighsLatency &&
      terms.domains.every(({ weight }) => weight === undefined),
    startRank: request.seed === undefined ? 0 : Math.floor(fraction(request.seed) * fleet.size),
    tests,
    softTests: terms.domains.flatMap(({ of, relation, peers, weight }) =>
      relation === "with" && weight !== undefined ? [{ word: bit[of], ...bitsOf(peers.keys()), cost: weight }] : [],
    ),
    allowed,
    minSovereigntyLevel: wish.minSovereigntyLevel ?? 0,
    limits,
    from,
    domainTerms: terms.domains,
    isPlain:
      wish.architecture === undefined &&
      labels.length === 0 &&
      reach.length === 0 &&
      onlySlots === undefined &&
      notSlots.size === 0 &&
      devices.length === 0 &&
      (request.hugepagesMiB ?? 0) === 0 &&
      cells === 0 &&
      terms.nodes.length === 0,
    architecture: wish.architecture === undefined ? allKinds : flag[wish.architecture],
    labels,
    tolerated,
    reach,
    onlySlots,
    notSlots,
    devices,
    hugepagesMiB: request.hugepagesMiB ?? 0,
    cells,
    cellShare: cellShare(request, Math.max(1, cells)),
    nodeTerms: terms.nodes,
  };
}

const spreadOnly: Weights = { spread: 1 };
const none = { low: 0, high: 0 };

function tierTest(tiers: ReadonlySet<number>): BitTest {
  let low = 0;
  for (const tier of tiers) low |= 1 << (8 + (tier % 16));
  return { word: bit.kind, low, high: 0 };
}

function allowedBy(words: Words, { constraints: wish, residency }: PlacementRequest): Allowed[] {
  const allowed: Allowed[] = [];
  const add = (
    of: Allowed["of"],
    dictionary: { find(word: string): number | undefined },
    list: readonly string[] | undefined,
  ): void => {
    if (list !== undefined) allowed.push({ of, numbers: new Set(list.flatMap((word) => dictionary.find(word) ?? [])) });
  };
  add("country", words.countries, wish.countries);
  add("country", words.countries, residency);
  add("jurisdiction", words.countries, wish.jurisdictions);
  add("jurisdiction", words.countries, residency);
  add("provider", words.providers, wish.providers);
  add("site", words.sites, wish.sites);
  add("tier", words.tiers, wish.tiers);
  return allowed;
}

function reachOf({ reach }: Words, { networks = [], storage = [] }: PlacementRequest): (readonly [number, number])[] {
  // That all are reached are words of their own, the first two.
  return [
    ...networks.map((name) => [reach.find(networkWord(name)) ?? -1, 0] as const),
    ...storage.map((name) => [reach.find(storageWord(name)) ?? -1, 1] as const),
  ];
}

interface Terms {
  readonly domains: readonly DomainTerm[];
  readonly nodes: readonly NodeTerm[];
}

/** Peers on nodes that are not there any more count for nothing. */
function termsOf(fleet: NodeFleet, { affinity = [], stayPut }: PlacementRequest): Terms {
  const domains: DomainTerm[] = [];
  const nodes: NodeTerm[] = [];
  for (const { relation, by, nodes: names, weight } of affinity) {
    const slots = names.flatMap((name) => fleet.slotNamed(name) ?? []);
    if (slots.length === 0) continue;
    if (by === "node") nodes.push({ relation, weight, peers: counted(slots) });
    else domains.push({ of: by, relation, weight, peers: counted(slots.map((slot) => localeAt(fleet, slot)[by])) });
  }
  const here = stayPut === undefined ? undefined : fleet.slotNamed(stayPut.node);
  if (stayPut !== undefined && here !== undefined)
    nodes.push({ relation: "with", weight: stayPut.cost, peers: new Map([[here, 1]]) });
  return { domains, nodes };
}

function counted(numbers: readonly number[]): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const number of numbers) counts.set(number, (counts.get(number) ?? 0) + 1);
  return counts;
}

function localeAt(fleet: NodeFleet, slot: number): Locale {
  return fleet.words.locales[fleet.localeAt(slot)] as Locale;
}

/** From 0 to below 1, the same for the same seed (mulberry32's mixing). */
function fraction(seed: number): number {
  let mixed = (seed + 0x6d2b79f5) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 15), 1 | mixed);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
}
