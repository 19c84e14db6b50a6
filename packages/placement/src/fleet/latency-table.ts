import { roundTripMs } from "../latency.ts";
import type { Place } from "../places.ts";
import { fact, factStride, fanOut, flag, integer, levels, real, shiftOf } from "./columns.ts";
import type { Columns } from "./columns.ts";
import type { Words } from "./words.ts";

/** Round trips from one place. */
export interface LatencyTable {
  readonly place: Place;
  /** To each locale. */
  readonly ms: Float64Array;
  /** The least of each block, group and region, by level. */
  readonly least: readonly Float64Array[];
}

interface Source {
  readonly words: Words;
  readonly columns: Columns;
  readonly layouts: number;
}

const tablesKept = 64;

/** Made when a place is first asked for: about 0.1 us for each locale and 4 ns for each node; the last 64 are kept. */
export class LatencyTables {
  readonly #source: Source;
  readonly #tables = new Map<string, LatencyTable & { readonly layouts: number }>();

  constructor(source: Source) {
    this.#source = source;
  }

  of(place: Place): LatencyTable {
    const key = `${place.latitude} ${place.longitude} ${place.name}`;
    const { words, columns, layouts } = this.#source;
    const known = this.#tables.get(key);
    if (known?.layouts === layouts) return known;
    const ms = new Float64Array(words.locales.length);
    for (const [number, locale] of words.locales.entries())
      ms[number] = known?.ms[number] ?? roundTripMs(place, locale).milliseconds;
    const table = { place, ms, least: leastOf(columns, ms), layouts };
    this.#tables.delete(key);
    this.#tables.set(key, table);
    if (this.#tables.size > tablesKept) for (const oldest of this.#tables.keys()) return this.#without(oldest, table);
    return table;
  }

  #without(key: string, table: LatencyTable): LatencyTable {
    this.#tables.delete(key);
    return table;
  }
}

function leastOf({ limits, facts, levels: rows }: Columns, ms: Float64Array): readonly Float64Array[] {
  const least = rows.map(({ count }) => new Float64Array(count).fill(Number.POSITIVE_INFINITY));
  const [lowest] = least;
  if (lowest === undefined) return least;
  for (let slot = 0; slot < limits.slots; slot++) {
    if ((integer(facts, slot * factStride) & flag.present) === 0) continue;
    const value = real(ms, integer(facts, slot * factStride + fact.locale));
    const row = slot >> shiftOf(0);
    if (value < real(lowest, row)) lowest[row] = value;
  }
  for (let level = 1; level < levels; level++) {
    const [below, above] = [least[level - 1], least[level]];
    for (const [child, value] of below?.entries() ?? [])
      if (above !== undefined && value < real(above, Math.floor(child / fanOut)))
        above[Math.floor(child / fanOut)] = value;
  }
  return least;
}
