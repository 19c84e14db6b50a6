import type { Candidate } from "../candidate.ts";
import { scoreReferences } from "../request.ts";
import { maxDeviceKinds } from "./columns.ts";
import { Dictionary } from "./dictionary.ts";

/** All that nodes of a site share, with words as their numbers. Nodes of one site that differ in it have locales of their own. */
export interface Locale {
  readonly country: number;
  readonly jurisdiction: number;
  readonly provider: number;
  readonly site: number;
  readonly tier: number;
  readonly sovereigntyLevel: number;
  readonly latitude: number;
  readonly longitude: number;
  /** As they count in scores. */
  readonly eurosPerVcpuHour: number;
  readonly carbonGramsPerKWh: number;
  readonly measuredMs: Readonly<Record<string, number>> | undefined;
}

/** Some words of a dictionary that a node has together, and the 64 bits that they set. */
export interface WordSet {
  readonly numbers: ReadonlySet<number>;
  readonly low: number;
  readonly high: number;
}

/** What the numbers in a fleet's columns stand for. Grows, and is never taken back. */
export class Words {
  /** Of sites, and of the law of providers. */
  readonly countries = new Dictionary();
  readonly providers = new Dictionary();
  readonly sites = new Dictionary();
  readonly tiers = new Dictionary();
  /** `key=value`. */
  readonly labels = new Dictionary();
  readonly taints = new Dictionary();
  /** `network:name` and `storage:name`; the first two say that all are reached. */
  readonly reach = new Dictionary([everyNetwork, everyStorage]);
  readonly devices = new Dictionary();
  readonly locales: Locale[] = [];
  readonly labelSets = new WordSets(this.labels);
  readonly taintSets = new WordSets(this.taints);
  readonly reachSets = new WordSets(this.reach);
  readonly #localeNumbers = new Map<string, number>();

  /** How many there are of all kinds: rises with each new one. */
  get size(): number {
    const { countries, providers, sites, tiers, labels, taints, reach, devices, locales } = this;
    const dictionaries = [countries, providers, sites, tiers, labels, taints, reach, devices];
    return dictionaries.reduce((sum, { words }) => sum + words.length, locales.length);
  }

  locale(node: Candidate): number {
    const { country, jurisdiction, provider, site, tier, sovereigntyLevel, latitude, longitude, measuredMs } = node;
    const price = node.eurosPerVcpuHour ?? scoreReferences.eurosPerVcpuHour;
    const carbon = node.carbonGramsPerKWh ?? scoreReferences.carbonGramsPerKWh;
    const measured = measuredMs === undefined ? "" : JSON.stringify(measuredMs);
    const key = `${site}\n${provider}\n${country}\n${jurisdiction}\n${tier}\n${sovereigntyLevel}\n${latitude}\n${longitude}\n${price}\n${carbon}\n${measured}`;
    const known = this.#localeNumbers.get(key);
    if (known !== undefined) return known;
    this.#localeNumbers.set(key, this.locales.length);
    const locale = {
      country: this.countries.number(country),
      jurisdiction: this.countries.number(jurisdiction),
      provider: this.providers.number(provider),
      site: this.sites.number(site),
      tier: this.tiers.number(tier),
      sovereigntyLevel,
      latitude,
      longitude,
      eurosPerVcpuHour: price,
      carbonGramsPerKWh: carbon,
      measuredMs,
    };
    return this.locales.push(locale) - 1;
  }

  labelSet({ labels }: Candidate): number {
    return this.labelSets.number(Object.entries(labels).map(labelWord));
  }

  taintSet({ taints = [] }: Candidate): number {
    return this.taintSets.number(taints);
  }

  reachSet({ networks, storage }: Candidate): number {
    return this.reachSets.number([
      ...(networks?.map(networkWord) ?? [everyNetwork]),
      ...(storage?.map(storageWord) ?? [everyStorage]),
    ]);
  }

  /** @throws RangeError where a fleet has more kinds of devices than columns */
  device(kind: string): number {
    const number = this.devices.number(kind);
    if (number >= maxDeviceKinds) throw new RangeError(`a fleet has at most ${maxDeviceKinds} kinds of devices`);
    return number;
  }
}

const everyNetwork = "network";
const everyStorage = "storage";

export function labelWord([key, value]: readonly [string, string]): string {
  return `${key}=${value}`;
}
export function networkWord(name: string): string {
  return `network:${name}`;
}
export function storageWord(name: string): string {
  return `storage:${name}`;
}

/** Which of 64 bits stands for a word. */
export function bitsOf(numbers: Iterable<number>): { low: number; high: number } {
  let [low, high] = [0, 0];
  for (const number of numbers) {
    if ((number & 32) === 0) low |= 1 << (number & 31);
    else high |= 1 << (number & 31);
  }
  return { low, high };
}

/** Sets of words, each kept once; the number of the empty one is 0. */
class WordSets {
  readonly list: WordSet[] = [{ numbers: new Set(), low: 0, high: 0 }];
  readonly #dictionary: Dictionary;
  readonly #numbers = new Map<string, number>([["", 0]]);

  constructor(dictionary: Dictionary) {
    this.#dictionary = dictionary;
  }

  number(words: readonly string[]): number {
    if (words.length === 0) return 0;
    const numbers = words.map((word) => this.#dictionary.number(word)).sort((a, b) => a - b);
    const key = numbers.join(",");
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    this.#numbers.set(key, this.list.length);
    return this.list.push({ numbers: new Set(numbers), ...bitsOf(numbers) }) - 1;
  }

  at(number: number): WordSet {
    return this.list[number] as WordSet;
  }
}
