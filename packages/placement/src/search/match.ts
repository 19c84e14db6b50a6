import {
  devicesPlace,
  fact,
  factStride,
  flag,
  integer,
  maxCells,
  real,
  special,
  specialStride,
} from "../fleet/columns.ts";
import { noRoom, useWith } from "../fleet/size-table.ts";
import type { Locale } from "../fleet/words.ts";
import { scoreReferences } from "../request.ts";
import type { NodeTerm, Query } from "./query.ts";

/** What does not fit costs this. */
export const impossible = Number.POSITIVE_INFINITY;

/**
 * A node's score for a query, less being better; `impossible` where something asked does not hold. Parts are added in the same order
 * here as in rowCost and in the oracle of the tests, since sums of rounded numbers depend on it. About 10 ns.
 */
export function nodeCost(query: Query, slot: number): number {
  if ((integer(query.columns.facts, slot * factStride + fact.flags) & flag.open) === 0) return impossible;
  const use = useWith(query.columns, slot, query);
  return use === noRoom ? impossible : costWith(query, slot, use);
}

/** The same of an open node that would be used so much. */
export function costWith(query: Query, slot: number, use: number): number {
  const { facts } = query.columns;
  const base = slot * factStride;
  const flags = integer(facts, base + fact.flags);
  const fixed = localeCost(query, integer(facts, base + fact.locale));
  if (fixed === impossible) return impossible;
  if ((flags & flag.tainted) !== 0 && !toleratesAll(query, integer(facts, base + fact.taints))) return impossible;
  const cost = query.spread * use + query.pack * (1 - use) + fixed;
  if (query.isPlain) return cost;
  return fitsRest(query, slot, flags) ? cost + nodeTermCost(query, slot) : impossible;
}

/** The part of the score that all nodes of a locale share; `impossible` where they can't fit. */
function localeCost(query: Query, number: number): number {
  const { memo, stamp } = query;
  if (memo.stamps[number] === stamp) return real(memo.costs, number);
  const cost = freshLocaleCost(query, number);
  memo.stamps[number] = stamp;
  memo.costs[number] = cost;
  return cost;
}

function freshLocaleCost(query: Query, number: number): number {
  const locale = query.fleet.words.locales[number] as Locale;
  if (locale.sovereigntyLevel < query.minSovereigntyLevel) return impossible;
  for (const { of, numbers } of query.allowed) if (!numbers.has(locale[of])) return impossible;
  for (const { table, milliseconds } of query.limits) if (real(table.ms, number) > milliseconds) return impossible;
  let slowest = 0;
  for (const { ms } of query.from) if (real(ms, number) > slowest) slowest = real(ms, number);
  let cost = sumOfFixed(query, locale.eurosPerVcpuHour, locale.carbonGramsPerKWh, slowest);
  for (const { of, relation, peers, weight } of query.domainTerms) {
    const count = peers.get(locale[of]) ?? 0;
    if (weight === undefined) {
      if (relation === "with" ? count === 0 : count > 0) return impossible;
    } else cost += relation === "apart" ? weight * count : count === 0 ? weight : 0;
  }
  return cost;
}

/** Price, carbon and latency as they count in a score. */
export function sumOfFixed(
  { price, carbon, latency }: Pick<Query, "price" | "carbon" | "latency">,
  euros: number,
  grams: number,
  ms: number,
): number {
  return (
    price * (euros / scoreReferences.eurosPerVcpuHour) +
    carbon * (grams / scoreReferences.carbonGramsPerKWh) +
    latency * (ms / scoreReferences.latencyMs)
  );
}

function toleratesAll({ fleet, tolerated }: Query, taintSet: number): boolean {
  for (const taint of fleet.words.taintSets.at(taintSet).numbers) if (!tolerated.has(taint)) return false;
  return true;
}

function fitsRest(query: Query, slot: number, flags: number): boolean {
  if ((flags & query.architecture) === 0) return false;
  if (query.onlySlots?.has(slot) === false || query.notSlots.has(slot)) return false;
  const { facts } = query.columns;
  const { labelSets, reachSets } = query.fleet.words;
  if (query.labels.length > 0) {
    const { numbers } = labelSets.at(integer(facts, slot * factStride + fact.labels));
    for (const label of query.labels) if (!numbers.has(label)) return false;
  }
  if (query.reach.length > 0) {
    const { numbers } = reachSets.at(integer(facts, slot * factStride + fact.reach));
    for (const [one, every] of query.reach) if (!numbers.has(one) && !numbers.has(every)) return false;
  }
  for (const { relation, peers, weight } of query.nodeTerms)
    if (weight === undefined && (relation === "with") !== peers.has(slot)) return false;
  return fitsSpecial(query, slot);
}

function fitsSpecial({ columns, devices, hugepagesMiB, cells, cellShare }: Query, slot: number): boolean {
  const { facts, specials } = columns;
  // The first row is of nodes that have nothing special.
  const row = integer(facts, slot * factStride + fact.special) * specialStride;
  for (const [kind, count] of devices) {
    const place = kind < 0 ? -1 : devicesPlace(specials, row, kind);
    if (place < 0 || real(specials, place) < count) return false;
  }
  if (real(specials, row + special.hugepagesMiB) < hugepagesMiB) return false;
  if (cells === 0) return true;
  let fitting = 0;
  const all = Math.min(maxCells, real(specials, row + special.cells));
  for (let cell = 0; cell < all; cell++) {
    const place = row + special.cell + 2 * cell;
    if (real(specials, place) >= cellShare.vcpus && real(specials, place + 1) >= cellShare.memoryMiB) fitting++;
  }
  return fitting >= cells;
}

function nodeTermCost({ nodeTerms }: Query, slot: number): number {
  let cost = 0;
  for (const { relation, peers, weight } of nodeTerms)
    if (weight !== undefined) cost += termCost(relation, weight, peers.get(slot) ?? 0);
  return cost;
}

function termCost(relation: NodeTerm["relation"], weight: number, peers: number): number {
  return relation === "apart" ? weight * peers : peers === 0 ? weight : 0;
}
