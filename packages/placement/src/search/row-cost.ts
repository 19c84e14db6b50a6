import { bound, boundAt, integer, real, shiftOf } from "../fleet/columns.ts";
import type { Level } from "../fleet/columns.ts";
import { leastUse, mayHaveRoom, mostUse } from "../fleet/size-table.ts";
import { impossible, sumOfFixed } from "./match.ts";
import type { Query } from "./query.ts";

/**
 * No node below a row costs less for this query than this; `impossible` where none can fit, or where all cost more than `limit`. Every
 * part is no more than the part of any node below, and rounding keeps order, so the sums are in order too. About 10 ns.
 */
export function rowCost(query: Query, level: Level, depth: number, row: number, limit: number): number {
  const { sizes, tests } = query;
  let [spread, pack] = [0, 0];
  if (sizes !== undefined) {
    const least = real(sizes.least[depth] as Float64Array, row);
    if (least === impossible) return impossible;
    spread = query.spread * least;
    if (query.pack !== 0) pack = query.pack * (1 - real(sizes.most[depth] as Float64Array, row));
  } else {
    if (!mayHaveRoom(level, row, query)) return impossible;
    if (query.spread !== 0) spread = query.spread * leastUse(query, level, row);
    if (query.pack !== 0) pack = query.pack * (1 - mostUse(query, level, row));
  }
  if (spread + pack > limit) return impossible;
  const { bits, count } = level;
  for (let at = 0; at < tests.length; at++) {
    const test = tests[at] as Query["tests"][number];
    const place = test.word * count + row;
    if (((integer(bits, place) & test.low) | (integer(bits, place + count) & test.high)) === 0) return impossible;
  }
  if (query.minSovereigntyLevel > 0 && boundAt(level, bound.mostSovereign, row) < query.minSovereigntyLevel)
    return impossible;
  const { limits } = query;
  for (let at = 0; at < limits.length; at++) {
    const { table, milliseconds } = limits[at] as Query["limits"][number];
    if (real(table.least[depth] as Float64Array, row) > milliseconds) return impossible;
  }
  if (lacksSpecial(query, level, row)) return impossible;
  const cost = spread + pack + leastFixed(query, level, depth, row);
  return query.nodeTerms.length === 0 ? cost : cost + leastNodeTerms(query, depth, row);
}

function lacksSpecial({ hugepagesMiB, cells, cellShare }: Query, level: Level, row: number): boolean {
  if (hugepagesMiB > 0 && hugepagesMiB > boundAt(level, bound.mostHugepages, row)) return true;
  return (
    cells > 0 &&
    (cellShare.vcpus > boundAt(level, bound.mostCellVcpus, row) ||
      cellShare.memoryMiB > boundAt(level, bound.mostCellMemory, row))
  );
}

function leastFixed(query: Query, level: Level, depth: number, row: number): number {
  if (query.isUnweighted) return 0;
  let slowest = 0;
  for (const { least } of query.from) {
    const ms = real(least[depth] as Float64Array, row);
    if (ms > slowest) slowest = ms;
  }
  const price = boundAt(level, bound.leastPrice, row);
  let cost = sumOfFixed(query, price, boundAt(level, bound.leastCarbon, row), slowest);
  const { bits, count } = level;
  for (const { word, low, high, cost: weight } of query.softTests) {
    const place = word * count + row;
    if (((integer(bits, place) & low) | (integer(bits, place + count) & high)) === 0) cost += weight;
  }
  return cost;
}

function leastNodeTerms({ nodeTerms }: Query, depth: number, row: number): number {
  let cost = 0;
  for (const { relation, peers, weight } of nodeTerms) {
    if (weight === undefined || relation === "apart") continue;
    let isHere = false;
    for (const slot of peers.keys()) isHere ||= slot >> shiftOf(depth) === row;
    if (!isHere) cost += weight;
  }
  return cost;
}

/** The least rank that an open node below may have, counted from where the query starts. */
export function rowRank({ startRank, fleet }: Query, level: Level, row: number): number {
  const first = boundAt(level, bound.firstRank, row);
  if (startRank === 0 || first >= startRank) return first - startRank;
  return boundAt(level, bound.lastRank, row) >= startRank ? 0 : first - startRank + fleet.size;
}

export function rankFrom({ startRank, fleet }: Query, rank: number): number {
  return rank >= startRank ? rank - startRank : rank - startRank + fleet.size;
}
