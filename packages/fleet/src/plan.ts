import { SkerryError, type ResourceOf } from "@skerry/model";
import { cities } from "./cities.ts";
import { seededRandom } from "./random.ts";

/**
 * `well`: does what it is told. `slow`: as well, in twenty times the time. `failing`: none of its guests ever starts. `hanging`: stays
 * linked and answers, and does nothing. `flapping`: loses its link again and again.
 */
export const characters = ["well", "slow", "failing", "hanging", "flapping"] as const;
export type Character = (typeof characters)[number];

export interface FleetOptions {
  readonly nodes: number;
  /** As many as there are nodes at most; nodes are shared out evenly. */
  readonly sites: number;
  readonly seed: number;
  /** Least and most time from the start of a guest until it runs, ms. */
  readonly bootMs: readonly [number, number];
  /** The part of the nodes that has each character, 0 to 1; the rest is well. */
  readonly parts: Partial<Readonly<Record<Exclude<Character, "well">, number>>>;
}

export interface SitePlan {
  readonly name: string;
  readonly spec: ResourceOf<"Site">["spec"];
}

export interface NodePlan {
  readonly name: string;
  readonly site: string;
  readonly character: Character;
  /** Of all that is random about it. */
  readonly seed: number;
  readonly bootMs: readonly [number, number];
  readonly capacity: { readonly vcpus: number; readonly memoryMiB: number; readonly diskMiB: number };
}

export interface FleetPlan {
  readonly provider: string;
  readonly sites: readonly SitePlan[];
  readonly nodes: readonly NodePlan[];
}

const provider = "simulated";
const slowness = 20;
/** Hosts of usual sizes. */
const sizes = [
  { vcpus: 16, memoryMiB: 65_536, diskMiB: 1_000_000 },
  { vcpus: 32, memoryMiB: 131_072, diskMiB: 2_000_000 },
  { vcpus: 64, memoryMiB: 262_144, diskMiB: 4_000_000 },
] as const;

/** The same for the same options. @throws SkerryError invalid-request */
export function planFleet(options: FleetOptions): FleetPlan {
  const { nodes, seed, bootMs, parts } = options;
  if (!Number.isInteger(nodes) || nodes < 1) throw invalid(`A fleet of ${nodes} nodes is none.`);
  if (!Number.isInteger(options.sites) || options.sites < 1)
    throw invalid(`A fleet needs a site, not ${options.sites}.`);
  const [least, most] = bootMs;
  if (!(least >= 0 && most >= least)) throw invalid(`Boots can't take from ${least} to ${most} ms.`);
  const shares = Object.values(parts);
  if (shares.some((part) => !(part >= 0)) || shares.reduce((sum, part) => sum + part, 0) > 1)
    throw invalid("The parts of the nodes are 0 to 1 each, and 1 at most together.");
  const random = seededRandom(seed);
  const siteCount = Math.min(options.sites, nodes);
  const sites = Array.from({ length: siteCount }, (_, index) => siteAt(index, random));
  const characterOf = dealer(nodes, parts, random);
  return {
    provider,
    sites,
    nodes: Array.from({ length: nodes }, (_, index): NodePlan => {
      const character = characterOf(index);
      const slower = character === "slow" ? slowness : 1;
      return {
        name: `sim-${seed}-${String(index).padStart(6, "0")}`,
        site: sites[index % siteCount]?.name ?? "",
        character,
        seed: Math.floor(random() * 2 ** 32),
        bootMs: [least * slower, most * slower],
        capacity: sizes[Math.floor(random() * sizes.length)] ?? sizes[0],
      };
    }),
  };
}

/** Beyond as many sites as there are cities, more stand around each. */
function siteAt(index: number, random: () => number): SitePlan {
  const city = cities[index % cities.length] ?? cities[0];
  const ring = Math.floor(index / cities.length);
  const [name, country, latitude, longitude] = city;
  const away = ring === 0 ? 0 : 0.2;
  return {
    name: `sim-${name}${ring === 0 ? "" : `-${ring}`}`,
    spec: {
      provider,
      country,
      city: name,
      latitude: latitude + (random() - 0.5) * 2 * away,
      longitude: longitude + (random() - 0.5) * 2 * away,
      tier: ring === 0 ? "near-edge" : "far-edge",
      carbonGramsPerKWh: Math.round(30 + random() * 600),
      eurosPerVcpuHour: Number((0.01 + random() * 0.05).toFixed(4)),
    },
  };
}

/** Gives each character exactly its part of the nodes, in random order. */
function dealer(nodes: number, parts: FleetOptions["parts"], random: () => number): (index: number) => Character {
  const dealt = new Map<number, Character>();
  const left = Array.from({ length: nodes }, (_, index) => index);
  for (const character of characters) {
    if (character === "well") continue;
    for (let count = Math.round(nodes * (parts[character] ?? 0)); count > 0 && left.length > 0; count--) {
      const at = Math.floor(random() * left.length);
      const [index = 0] = left.splice(at, 1);
      dealt.set(index, character);
    }
  }
  return (index) => dealt.get(index) ?? "well";
}

function invalid(message: string): SkerryError {
  return new SkerryError("invalid-request", message);
}
