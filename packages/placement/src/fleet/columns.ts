/*
 * The columns of a fleet, in one buffer that threads may share. A node has a place, its slot; 16 slots in a row are a block, 16
 * blocks a group, and so on for four levels, and each of these has a row of bounds: what the best of its open nodes has of each thing.
 * What a row says is never worse than what any node below it has, so that whoever finds it not good enough may pass by them all.
 */

export const slotsPerBlock = 16;
const blockShift = 4;
const fanOutShift = 4;
export const levels = 4;

/** By how much a slot is shifted right to give its index at a level. */
export function shiftOf(level: number): number {
  return blockShift + level * fanOutShift;
}
export const fanOut = 1 << fanOutShift;

/** Of a node, in `load`: used and offered vCPUs, memory and disk. */
export const loadStride = 6;

/** Of a node, in `facts`. */
export const factStride = 8;
export const fact = { flags: 0, locale: 1, labels: 2, rank: 3, taints: 4, reach: 5, special: 6 } as const;

export const flag = { present: 1, open: 2, x86_64: 4, aarch64: 8, tainted: 16 } as const;

/** Of the few nodes that have such, in `specials`; row 0 is of all others. */
export const special = { hugepagesMiB: 0, cells: 1, cell: 2, kinds: 18, kind: 19 } as const;
export const maxCells = 8;
/** Kinds of devices of one node, each with its number and how many are free; a fleet may have any number of kinds. */
export const maxDeviceKinds = 66;
export const specialStride = special.kind + 2 * maxDeviceKinds;

/** Where a row of `specials` says how many are free of a kind of device; -1 where the node has none. */
export function devicesPlace(specials: Float64Array, row: number, kind: number): number {
  const end = row + special.kind + 2 * real(specials, row + special.kinds);
  for (let at = row + special.kind; at < end; at += 2) if (real(specials, at) === kind) return at + 1;
  return -1;
}

/** Of a block, or of a row at a higher level, in `bounds`: highest or lowest of its open nodes, as the name says. Three numbers are one for each resource. */
export const bound = {
  mostFree: 0,
  leastUsed: 3,
  mostOffered: 6,
  leastRatio: 9,
  leastOffered: 12,
  /** Of the largest of a node's three ratios, among the nodes where it is that of this resource. */
  leastPeak: 15,
  /** Of the same, among nodes of a class of room or a higher one: of vCPUs and memory, and of disk too. */
  mostPeakByRoom: 18,
  mostPeakByRoomAndDisk: 26,
  leastPrice: 34,
  leastCarbon: 35,
  mostSovereign: 36,
  mostHugepages: 37,
  mostCellVcpus: 38,
  mostCellMemory: 39,
  firstRank: 40,
  lastRank: 41,
} as const;
export const boundCount = 42;
const roomClasses = 8;

/** Of a block, or of a row at a higher level, in `bits`: which words occur in it, each as one of 64 bits, or, of kinds, of 32. */
export const bit = {
  country: 0,
  jurisdiction: 2,
  provider: 4,
  site: 6,
  label: 8,
  reach: 10,
  taint: 12,
  kind: 14,
  device: 15,
} as const;
export const bitWords = 16;

/** Of what is free or asked, in units of which a usual request has as many of each: whoever has room for it is in no lower class than it. */
export function roomClass(units: number): number {
  return units < 1 ? 0 : Math.min(roomClasses - 1, 32 - Math.clz32(Math.min(units, 2 ** 30)));
}

/** A vCPU, a GiB of memory, and one of disk. */
export const mebibytesPerUnit = 1024;

export interface Limits {
  /** A multiple of a block's slots. */
  readonly slots: number;
  readonly specials: number;
}

/** Each bound and each word of bits is a column of its own, so that siblings lie side by side. */
export interface Level {
  /** How many rows there are. */
  readonly count: number;
  readonly bounds: Float64Array;
  readonly bits: Int32Array;
}

export function boundAt({ bounds, count }: Level, place: number, row: number): number {
  return bounds[place * count + row] as number;
}

export interface Columns {
  readonly limits: Limits;
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  /** How many slots from the first on may hold nodes. */
  readonly header: Int32Array;
  readonly load: Float64Array;
  readonly facts: Int32Array;
  readonly specials: Float64Array;
  readonly levels: readonly Level[];
}

/** Their bytes; all numbers of 8 bytes come first. */
function bytesFor({ slots, specials }: Limits): number {
  let bytes = 8 * (slots * loadStride + specials * specialStride) + 4 * (factStride + slots * factStride);
  for (let level = 0; level < levels; level++) bytes += countAt(slots, level) * (8 * boundCount + 4 * bitWords);
  return bytes;
}

function countAt(slots: number, level: number): number {
  return Math.ceil(slots / (1 << shiftOf(level)));
}

export function makeColumns(limits: Limits, shared: boolean): Columns {
  const bytes = bytesFor(limits);
  return columnsOver(shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes), limits);
}

/** Columns of their own with the same numbers. */
export function copyColumns({ buffer, limits }: Columns): Columns {
  const copy = new ArrayBuffer(buffer.byteLength);
  new Uint8Array(copy).set(new Uint8Array(buffer));
  return columnsOver(copy, limits);
}

/** Views of a buffer that `makeColumns` has made, here or in another thread. */
export function columnsOver(buffer: ArrayBuffer | SharedArrayBuffer, limits: Limits): Columns {
  let offset = 0;
  const reals = (length: number): Float64Array => {
    const view = new Float64Array(buffer, offset, length);
    offset += view.byteLength;
    return view;
  };
  const integers = (length: number): Int32Array => {
    const view = new Int32Array(buffer, offset, length);
    offset += view.byteLength;
    return view;
  };
  const counts = Array.from({ length: levels }, (_, level) => countAt(limits.slots, level));
  const load = reals(limits.slots * loadStride);
  const specials = reals(limits.specials * specialStride);
  const bounds = counts.map((count) => reals(count * boundCount));
  const header = integers(factStride);
  const facts = integers(limits.slots * factStride);
  const bits = counts.map((count) => integers(count * bitWords));
  return {
    limits,
    buffer,
    header,
    load,
    facts,
    specials,
    levels: counts.map((count, level) => ({
      count,
      bounds: bounds[level] ?? new Float64Array(0),
      bits: bits[level] ?? new Int32Array(0),
    })),
  };
}

/** A number of a column; the place is one that the column has. */
export function real(column: Float64Array, place: number): number {
  return column[place] as number;
}

export function integer(column: Int32Array, place: number): number {
  return column[place] as number;
}
