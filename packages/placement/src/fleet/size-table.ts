import type { Capacity } from "@skerry/model";
import {
  bound,
  boundAt,
  fact,
  factStride,
  fanOut,
  flag,
  integer,
  loadStride,
  mebibytesPerUnit,
  real,
  roomClass,
  shiftOf,
} from "./columns.ts";
import type { Columns, Level } from "./columns.ts";

/** Of one size of request: what the nodes below each row, where they have room, would be used with it at least and at most. */
export interface SizeTable {
  readonly vcpus: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
  /** By level. */
  readonly least: readonly Float64Array[];
  readonly most: readonly Float64Array[];
}

/** How much a node would be used with a size, of what runs out first; undefined where it has no room for it. */
export function useWith(columns: Columns, slot: number, size: Readonly<Capacity>): number {
  const { load } = columns;
  const at = slot * loadStride;
  const vcpus = real(load, at) + size.vcpus;
  if (vcpus > real(load, at + 1)) return noRoom;
  const memoryMiB = real(load, at + 2) + size.memoryMiB;
  if (memoryMiB > real(load, at + 3)) return noRoom;
  const diskMiB = real(load, at + 4) + size.diskMiB;
  if (diskMiB > real(load, at + 5)) return noRoom;
  let use = vcpus === 0 ? 0 : vcpus / real(load, at + 1);
  const memory = memoryMiB === 0 ? 0 : memoryMiB / real(load, at + 3);
  if (memory > use) use = memory;
  const disk = diskMiB === 0 ? 0 : diskMiB / real(load, at + 5);
  return disk > use ? disk : use;
}
export const noRoom = -1;

export function useIfOpen(columns: Columns, slot: number, size: Readonly<Capacity>): number {
  return isOpen(columns, slot) ? useWith(columns, slot, size) : noRoom;
}

interface Entry {
  readonly table: SizeTable;
  usedAt: number;
  /** Of the fleet, that it has taken in. */
  changes: number;
}

export interface ChangingFleet {
  readonly columns: Columns;
  readonly changes: number;
  changedAt(changes: number): number;
  remembers(changes: number): boolean;
}

const tablesKept = 32;
/** From which time on a size has a table; and without so many others having come meanwhile. */
const worthATable = 3;
const sightingsKept = 256;

/**
 * Tables of the sizes that are asked for again and again. The bounds of rows say of each resource what its best node has; the best of one
 * is seldom the best of the others too, so when all nodes are used about alike they promise too much. These are exact where a block was
 * looked at, and no change makes them promise too little: a node that changes widens its rows, about 10 ns when the table is next used.
 */
export class SizeTables {
  readonly #entries: Entry[] = [];
  readonly #sightings = new Map<string, number>();
  #clock = 0;

  clear(): void {
    this.#entries.length = 0;
    this.#sightings.clear();
  }

  /** Undefined for a size that is seldom asked for. */
  of(fleet: ChangingFleet, size: Readonly<Capacity>): SizeTable | undefined {
    this.#clock += 1;
    const known = this.#entries.find(
      ({ table }) => table.vcpus === size.vcpus && table.memoryMiB === size.memoryMiB && table.diskMiB === size.diskMiB,
    );
    if (known !== undefined && fleet.remembers(known.changes)) {
      known.usedAt = this.#clock;
      catchUp(known, fleet);
      return known.table;
    }
    if (known !== undefined) this.#entries.splice(this.#entries.indexOf(known), 1);
    return this.#isDue(fleet.columns, size) ? this.#make(fleet, size) : undefined;
  }

  #isDue({ levels }: Columns, size: Readonly<Capacity>): boolean {
    const top = levels.at(-1);
    if (top === undefined || !someRow(top, (row) => mayHaveRoom(top, row, size))) return false;
    const key = `${size.vcpus} ${size.memoryMiB} ${size.diskMiB}`;
    const seen = (this.#sightings.get(key) ?? 0) + 1;
    if (this.#sightings.size === sightingsKept) this.#sightings.clear();
    this.#sightings.set(key, seen);
    return seen >= worthATable;
  }

  #make(fleet: ChangingFleet, size: Readonly<Capacity>): SizeTable {
    const table = makeTable(fleet.columns, size);
    if (this.#entries.length === tablesKept) this.#entries.splice(this.#oldest(), 1);
    this.#entries.push({ table, usedAt: this.#clock, changes: fleet.changes });
    return table;
  }

  #oldest(): number {
    const least = Math.min(...this.#entries.map(({ usedAt }) => usedAt));
    return this.#entries.findIndex(({ usedAt }) => usedAt === least);
  }
}

function someRow({ count }: Level, isSo: (row: number) => boolean): boolean {
  for (let row = 0; row < count; row++) if (isSo(row)) return true;
  return false;
}

function catchUp(entry: Entry, fleet: ChangingFleet): void {
  const { columns } = fleet;
  const { least, most } = entry.table;
  for (; entry.changes < fleet.changes; entry.changes++) {
    const slot = fleet.changedAt(entry.changes);
    const use = useIfOpen(columns, slot, entry.table);
    if (use === noRoom) continue;
    for (let level = 0; level < least.length; level++) {
      const row = slot >> shiftOf(level);
      const [low, high] = [least[level] as Float64Array, most[level] as Float64Array];
      if (use < real(low, row)) low[row] = use;
      if (use > real(high, row)) high[row] = use;
    }
  }
}

/** From the bounds of rows, about 20 ns each; blocks are found out as they are looked at. */
function makeTable({ levels }: Columns, { vcpus, memoryMiB, diskMiB }: Readonly<Capacity>): SizeTable {
  const size = { vcpus, memoryMiB, diskMiB };
  const least = levels.map(({ count }) => new Float64Array(count));
  const most = levels.map(({ count }) => new Float64Array(count));
  for (const [depth, level] of levels.entries()) {
    const [low, high] = [least[depth] as Float64Array, most[depth] as Float64Array];
    for (let row = 0; row < level.count; row++) {
      const hasRoom = mayHaveRoom(level, row, size);
      low[row] = hasRoom ? leastUse(size, level, row) : Number.POSITIVE_INFINITY;
      high[row] = hasRoom ? mostUse(size, level, row) : noRoom;
    }
  }
  return { ...size, least, most };
}

/** Whether a row's nodes have enough of each thing, though perhaps none has of all. */
export function mayHaveRoom(level: Level, row: number, size: Readonly<Capacity>): boolean {
  return (
    boundAt(level, bound.mostFree, row) >= size.vcpus &&
    boundAt(level, bound.mostFree + 1, row) >= size.memoryMiB &&
    boundAt(level, bound.mostFree + 2, row) >= size.diskMiB
  );
}

/** Sums of rounded numbers are so much smaller, at most, than what they stand for. */
const roundedDown = 1 - 2 ** -48;
const roundedUp = 1 + 2 ** -48;

/**
 * Three views of the same, each the tightest somewhere: of nodes of one size, the least used of each resource; of nodes of many sizes,
 * the least ratio of each; and where resources are used unevenly, what the one that is used most will be used then.
 */
export function leastUse(size: Readonly<Capacity>, level: Level, row: number): number {
  let use = 0;
  let peak = Number.POSITIVE_INFINITY;
  for (let resource = 0; resource < 3; resource++) {
    const asked = resource === 0 ? size.vcpus : resource === 1 ? size.memoryMiB : size.diskMiB;
    const offered = boundAt(level, bound.mostOffered + resource, row);
    const used = boundAt(level, bound.leastUsed + resource, row) + asked;
    const exact = used === 0 ? 0 : used / offered;
    if (exact > use) use = exact;
    const step = asked === 0 ? 0 : asked / offered;
    const ratio = (boundAt(level, bound.leastRatio + resource, row) + step) * roundedDown;
    if (ratio > use) use = ratio;
    const most = boundAt(level, bound.leastPeak + resource, row) + step;
    if (most < peak) peak = most;
  }
  return Math.max(use, peak * roundedDown);
}

/** What fits uses no more than all of a node. */
export function mostUse(size: Readonly<Capacity>, level: Level, row: number): number {
  let step = 0;
  for (let resource = 0; resource < 3; resource++) {
    const asked = resource === 0 ? size.vcpus : resource === 1 ? size.memoryMiB : size.diskMiB;
    if (asked > 0) step = Math.max(step, asked / boundAt(level, bound.leastOffered + resource, row));
  }
  const units = Math.min(size.vcpus, size.memoryMiB / mebibytesPerUnit);
  const peak = Math.min(
    boundAt(level, bound.mostPeakByRoom + roomClass(units), row),
    boundAt(level, bound.mostPeakByRoomAndDisk + roomClass(Math.min(units, size.diskMiB / mebibytesPerUnit)), row),
  );
  return Math.min(1, Math.max(0, (peak + step) * roundedUp));
}

/** What was found in a block, instead of what was promised, for it and the rows above it. */
export function learn(table: SizeTable, block: number, least: number, most: number): void {
  const [low, high] = [table.least[0] as Float64Array, table.most[0] as Float64Array];
  if (real(low, block) === least && real(high, block) === most) return;
  low[block] = least;
  high[block] = most;
  let row = block;
  for (let level = 1; level < table.least.length; level++) {
    row = Math.floor(row / fanOut);
    if (!narrow(table, level, row)) return;
  }
}

function narrow({ least, most }: SizeTable, level: number, row: number): boolean {
  const [below, above] = [least[level - 1] as Float64Array, most[level - 1] as Float64Array];
  const end = Math.min((row + 1) * fanOut, below.length);
  let [low, high] = [Number.POSITIVE_INFINITY, noRoom];
  for (let child = row * fanOut; child < end; child++) {
    if (real(below, child) < low) low = real(below, child);
    if (real(above, child) > high) high = real(above, child);
  }
  const [lows, highs] = [least[level] as Float64Array, most[level] as Float64Array];
  const isNew = real(lows, row) !== low || real(highs, row) !== high;
  lows[row] = low;
  highs[row] = high;
  return isNew;
}

function isOpen(columns: Columns, slot: number): boolean {
  return (integer(columns.facts, slot * factStride + fact.flags) & flag.open) !== 0;
}
