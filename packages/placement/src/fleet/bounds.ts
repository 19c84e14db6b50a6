import {
  bit,
  bitWords,
  bound,
  boundCount,
  fact,
  factStride,
  fanOut,
  flag,
  integer,
  loadStride,
  maxCells,
  mebibytesPerUnit,
  real,
  roomClass,
  slotsPerBlock,
  special,
  specialStride,
} from "./columns.ts";
import type { Columns, Level } from "./columns.ts";
import { bitsOf } from "./words.ts";
import type { Locale, Words } from "./words.ts";

/** Which bounds are the highest of what is below; all others are the lowest. */
const isHighest: readonly boolean[] = Array.from(
  { length: boundCount },
  (_, place) =>
    place < bound.leastUsed ||
    (place >= bound.mostOffered && place < bound.leastRatio) ||
    (place >= bound.mostPeakByRoom && place < bound.leastPrice) ||
    (place >= bound.mostSovereign && place <= bound.mostCellMemory) ||
    place === bound.lastRank,
);
const allBounds = Array.from({ length: boundCount }, (_, place) => place);
/** Those that change with what is used. */
const loadBounds = allBounds.filter(
  (place) =>
    place < bound.mostOffered ||
    (place >= bound.leastRatio && place < bound.leastOffered) ||
    (place >= bound.leastPeak && place < bound.leastPrice),
);

/** A row that is being made. */
const draft = new Float64Array(boundCount);

/** A block's row after one of its nodes is used more or less, and the rows above it as far as they change; about 1 us. */
export function refreshLoad(columns: Columns, block: number): void {
  const [level] = columns.levels;
  if (level === undefined) return;
  clear(loadBounds);
  for (let slot = block * slotsPerBlock; slot < (block + 1) * slotsPerBlock; slot++) takeLoad(columns, slot);
  if (keep(level, block, loadBounds)) lift(columns, block, loadBounds, false);
}

/** A block's row after anything about its nodes has changed, and the rows above it. */
export function refreshBlock(columns: Columns, words: Words, block: number, above = true): void {
  const [level] = columns.levels;
  if (level === undefined) return;
  clear(allBounds);
  for (let word = 0; word < bitWords; word++) level.bits[word * level.count + block] = 0;
  for (let slot = block * slotsPerBlock; slot < (block + 1) * slotsPerBlock; slot++) {
    takeLoad(columns, slot);
    takeRest(columns, words, level, block, slot);
  }
  keep(level, block, allBounds);
  if (above) lift(columns, block, allBounds, true);
}

/** All rows; about 20 ns for each node. */
export function refreshAll(columns: Columns, words: Words): void {
  for (let block = 0; block < (columns.levels[0]?.count ?? 0); block++) refreshBlock(columns, words, block, false);
  for (let at = 1; at < columns.levels.length; at++) {
    const [below, level] = [columns.levels[at - 1], columns.levels[at]];
    if (below === undefined || level === undefined) return;
    for (let row = 0; row < level.count; row++) sumUp(below, level, row, allBounds, true);
  }
}

function clear(places: readonly number[]): void {
  for (let index = 0; index < places.length; index++) {
    const place = places[index] as number;
    draft[place] = isHighest[place] === true ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
}

/** Makes the draft a level's row; false where it was that already. */
function keep({ bounds, count }: Level, row: number, places: readonly number[]): boolean {
  let isNew = false;
  for (let index = 0; index < places.length; index++) {
    const place = places[index] as number;
    const value = real(draft, place);
    if (real(bounds, place * count + row) === value) continue;
    bounds[place * count + row] = value;
    isNew = true;
  }
  return isNew;
}

function lift(columns: Columns, block: number, places: readonly number[], withBits: boolean): void {
  let row = block;
  for (let at = 1; at < columns.levels.length; at++) {
    const [below, level] = [columns.levels[at - 1], columns.levels[at]];
    if (below === undefined || level === undefined) return;
    row = Math.floor(row / fanOut);
    if (!sumUp(below, level, row, places, withBits) && !withBits) return;
  }
}

function sumUp(below: Level, level: Level, row: number, places: readonly number[], withBits: boolean): boolean {
  const first = row * fanOut;
  const end = Math.min(first + fanOut, below.count);
  for (let index = 0; index < places.length; index++) {
    const place = places[index] as number;
    const column = place * below.count;
    let value = real(below.bounds, column + first);
    if (isHighest[place] === true) {
      for (let child = first + 1; child < end; child++) {
        const other = real(below.bounds, column + child);
        if (other > value) value = other;
      }
    } else {
      for (let child = first + 1; child < end; child++) {
        const other = real(below.bounds, column + child);
        if (other < value) value = other;
      }
    }
    draft[place] = value;
  }
  const isNew = keep(level, row, places);
  if (!withBits) return isNew;
  for (let word = 0; word < bitWords; word++) {
    let bits = 0;
    for (let child = first; child < end; child++) bits |= integer(below.bits, word * below.count + child);
    level.bits[word * level.count + row] = bits;
  }
  return isNew;
}

function raise(place: number, value: number): void {
  if (value > real(draft, place)) draft[place] = value;
}

function lower(place: number, value: number): void {
  if (value < real(draft, place)) draft[place] = value;
}

function isOpen(columns: Columns, slot: number): boolean {
  return (integer(columns.facts, slot * factStride) & flag.open) !== 0;
}

function takeLoad(columns: Columns, slot: number): void {
  if (!isOpen(columns, slot)) return;
  const load = slot * loadStride;
  let [peak, peakOf, room, roomWithDisk] = [0, 0, 0, 0];
  for (let resource = 0; resource < 3; resource++) {
    const used = real(columns.load, load + 2 * resource);
    const offered = real(columns.load, load + 2 * resource + 1);
    const free = offered - used;
    const ratio = used === 0 ? 0 : used / offered;
    if (ratio > peak) {
      peak = ratio;
      peakOf = resource;
    }
    if (resource === 0) room = free;
    else if (resource === 1) room = Math.min(room, free / mebibytesPerUnit);
    else roomWithDisk = Math.min(room, free / mebibytesPerUnit);
    raise(bound.mostFree + resource, free);
    lower(bound.leastUsed + resource, used);
    lower(bound.leastRatio + resource, ratio);
  }
  lower(bound.leastPeak + peakOf, peak);
  // Downwards, until one has had as much: those below it have had it too.
  for (let at = roomClass(room); at >= 0 && real(draft, bound.mostPeakByRoom + at) < peak; at--)
    draft[bound.mostPeakByRoom + at] = peak;
  for (let at = roomClass(roomWithDisk); at >= 0 && real(draft, bound.mostPeakByRoomAndDisk + at) < peak; at--)
    draft[bound.mostPeakByRoomAndDisk + at] = peak;
}

function takeRest(columns: Columns, words: Words, level: Level, block: number, slot: number): void {
  if (!isOpen(columns, slot)) return;
  const facts = slot * factStride;
  for (let resource = 0; resource < 3; resource++) {
    const offered = real(columns.load, slot * loadStride + 2 * resource + 1);
    raise(bound.mostOffered + resource, offered);
    lower(bound.leastOffered + resource, offered);
  }
  const locale = words.locales[integer(columns.facts, facts + fact.locale)] as Locale;
  lower(bound.leastPrice, locale.eurosPerVcpuHour);
  lower(bound.leastCarbon, locale.carbonGramsPerKWh);
  raise(bound.mostSovereign, locale.sovereigntyLevel);
  const rank = integer(columns.facts, facts + fact.rank);
  lower(bound.firstRank, rank);
  raise(bound.lastRank, rank);
  takeBits(columns, words, level, block, slot, locale);
  takeSpecial(columns, level, block, slot);
}

function setBits({ bits, count }: Level, block: number, word: number, value: number): void {
  const place = word * count + block;
  bits[place] = integer(bits, place) | value;
}

function takeBits(columns: Columns, words: Words, level: Level, block: number, slot: number, locale: Locale): void {
  const facts = slot * factStride;
  const set = (place: number, low: number, high: number): void => {
    setBits(level, block, place, low);
    setBits(level, block, place + 1, high);
  };
  const one = (place: number, number: number): void => {
    const { low, high } = bitsOf([number]);
    set(place, low, high);
  };
  one(bit.country, locale.country);
  one(bit.jurisdiction, locale.jurisdiction);
  one(bit.provider, locale.provider);
  one(bit.site, locale.site);
  const labels = words.labelSets.at(integer(columns.facts, facts + fact.labels));
  set(bit.label, labels.low, labels.high);
  const reach = words.reachSets.at(integer(columns.facts, facts + fact.reach));
  set(bit.reach, reach.low, reach.high);
  one(bit.taint, taintBit(words.taintSets.at(integer(columns.facts, facts + fact.taints)).numbers));
  const flags = integer(columns.facts, facts + fact.flags);
  setBits(level, block, bit.kind, kindBits(flags, locale.tier));
}

/** What has to be tolerated at least: nothing is 0, a taint one more than its number. */
function taintBit(taints: Iterable<number>): number {
  for (const first of taints) return first + 1;
  return 0;
}

/** Architectures and tiers, each a bit of its own. */
function kindBits(flags: number, tier: number): number {
  return (flags & (flag.x86_64 | flag.aarch64)) | (1 << (8 + (tier % 16)));
}

function takeSpecial(columns: Columns, level: Level, block: number, slot: number): void {
  const row = integer(columns.facts, slot * factStride + fact.special) * specialStride;
  if (row === 0) {
    raise(bound.mostHugepages, 0);
    return;
  }
  raise(bound.mostHugepages, real(columns.specials, row + special.hugepagesMiB));
  const cells = Math.min(maxCells, real(columns.specials, row + special.cells));
  for (let cell = 0; cell < cells; cell++) {
    raise(bound.mostCellVcpus, real(columns.specials, row + special.cell + 2 * cell));
    raise(bound.mostCellMemory, real(columns.specials, row + special.cell + 2 * cell + 1));
  }
  let devices = 0;
  const end = row + special.kind + 2 * real(columns.specials, row + special.kinds);
  for (let at = row + special.kind; at < end; at += 2)
    // Of more than 32 kinds some share a bit, so that it says that there may be some.
    if (real(columns.specials, at + 1) > 0) devices |= 1 << real(columns.specials, at);
  setBits(level, block, bit.device, devices);
}
