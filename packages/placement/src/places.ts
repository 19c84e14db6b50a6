import { SkerryError } from "@skerry/model";
import type { LatencyLimit } from "@skerry/model";
import type { Coordinates } from "./latency.ts";
import { placeTable } from "./place-table.ts";

export interface Place extends Coordinates {
  readonly name: string;
  /** ISO 3166-1 alpha-2; absent for bare coordinates. */
  readonly country?: string;
}

/** Every place that can be named. */
export const places: readonly Place[] = placeTable.map(([name, country, latitude, longitude]) => ({
  name,
  country,
  latitude,
  longitude,
}));

const byName = new Map(
  placeTable.flatMap(([name, , , , ...aliases], index) =>
    [name, ...aliases].map((word) => [plain(word), places[index]] as const),
  ),
);

/** The place of this name or other name, in any case and with or without accents. */
export function findPlace(name: string): Place | undefined {
  return byName.get(plain(name));
}

/**
 * What a latency limit is counted from.
 * @throws SkerryError invalid-request for a name that is not known, with the names nearest to it
 */
export function placeOf(from: LatencyLimit["from"]): Place {
  if (typeof from !== "string") return { ...from, name: `${from.latitude}, ${from.longitude}` };
  const place = findPlace(from);
  if (place !== undefined) return place;
  const near = nearNames(from);
  const hint = near.length === 0 ? "" : ` Did you mean ${near.join(", ")}?`;
  throw new SkerryError("invalid-request", `No place named ${JSON.stringify(from)} is known.${hint}`, {
    remedy: "Name a known city, or give its coordinates, such as 40.4,-3.7.",
    facts: { near },
  });
}

/** At most three known names, nearest first: those that it begins, then those with few letters different. */
function nearNames(name: string): string[] {
  const wanted = plain(name);
  if (wanted === "") return [];
  const limit = Math.max(1, Math.floor(wanted.length / 3));
  const near = new Map<string, number>();
  for (const [word, place] of byName) {
    const distance = wanted.length >= 3 && word.startsWith(wanted) ? 0 : editDistance(wanted, word);
    if (place !== undefined && distance <= limit)
      near.set(place.name, Math.min(distance, near.get(place.name) ?? distance));
  }
  const sorted = [...near].sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1));
  return sorted.slice(0, 3).map(([word]) => word);
}

/** Lower case, without accents, spaces or signs. */
function plain(name: string): string {
  return name
    .normalize("NFD")
    .toLowerCase()
    .replaceAll("ø", "o")
    .replaceAll("ł", "l")
    .replaceAll(/[^a-z]/g, "");
}

/** Letters to insert, delete or replace (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replace, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
