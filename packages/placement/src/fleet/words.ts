import type { Candidate } from "../candidate.ts";
import { scoreReferences } from "../request.ts";
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
  readonly countries: Dictionary;
  readonly providers: Dictionary;
  readonly sites: Dictionary;
  readonly tiers: Dictionary;
  /** `key=value`. */
  readonly labels: Dictionary;
  readonly taints: Dictionary;
  /** `network:name` and `storage:name`; the first two say that all are reached. */
  readonly reach: Dictionary;
  readonly devices: Dictionary;
  readonly locales: Locale[];
  readonly labelSets: WordSets;
  readonly taintSets: WordSets;
  readonly reachSets: WordSets;
  readonly #localeNumbers: Map<string, number>;

  /** @param like whose numbers these are too, of all words so far */
  constructor(like?: Words) {
    this.countries = new Dictionary(like?.countries);
    this.providers = new Dictionary(like?.providers);
    this.sites = new Dictionary(like?.sites);
    this.tiers = new Dictionary(like?.tiers);
    this.labels = new Dictionary(like?.labels);
    this.taints = new Dictionary(like?.taints);
    this.reach = new Dictionary(like?.reach ?? [everyNetwork, everyStorage]);
    this.devices = new Dictionary(like?.devices);
    this.locales = [...(like?.locales ?? [])];
    this.labelSets = new WordSets(this.labels, like?.labelSets);
    this.taintSets = new WordSets(this.taints, like?.taintSets);
    this.reachSets = new WordSets(this.reach, like?.reachSets);
    this.#localeNumbers = new Map(like === undefined ? [] : like.#localeNumbers);
  }

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

  device(kind: string): number {
    return this.devices.number(kind);
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
  readonly list: WordSet[];
  readonly #dictionary: Dictionary;
  readonly #numbers: Map<string, number>;

  constructor(dictionary: Dictionary, like?: WordSets) {
    this.#dictionary = dictionary;
    this.list = like === undefined ? [{ numbers: new Set(), low: 0, high: 0 }] : [...like.list];
    this.#numbers = new Map(like === undefined ? [["", 0]] : like.#numbers);
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
