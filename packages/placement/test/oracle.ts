import { findPlace, modelledRoundTripMs } from "@skerry/placement";
import type { Candidate, PlacementRequest, RefusalReason } from "@skerry/placement";

/** Why a node does not fit, one condition after the other as the request's fields are documented. */
export function failures(
  asked: PlacementRequest,
  node: Candidate,
  named: (name: string) => Candidate | undefined = () => undefined,
): RefusalReason[] {
  const { constraints: wish, residency } = asked;
  const failed: RefusalReason[] = [];
  if (asked.excludeNodes?.includes(node.name) === true) failed.push("excluded");
  if (!node.healthy) failed.push("unhealthy");
  if (!node.schedulable) failed.push("unschedulable");
  if (wish.nodes !== undefined && !wish.nodes.includes(node.name)) failed.push("node");
  if (wish.sites !== undefined && !wish.sites.includes(node.site)) failed.push("site");
  if (wish.providers !== undefined && !wish.providers.includes(node.provider)) failed.push("provider");
  if (wish.countries !== undefined && !wish.countries.includes(node.country)) failed.push("country");
  if (wish.jurisdictions !== undefined && !wish.jurisdictions.includes(node.jurisdiction)) failed.push("jurisdiction");
  if (residency !== undefined && !(residency.includes(node.country) && residency.includes(node.jurisdiction)))
    failed.push("residency");
  if (wish.tiers !== undefined && !wish.tiers.includes(node.tier)) failed.push("tier");
  if (wish.minSovereigntyLevel !== undefined && node.sovereigntyLevel < wish.minSovereigntyLevel)
    failed.push("sovereignty");
  if (wish.architecture !== undefined && node.architecture !== wish.architecture) failed.push("architecture");
  for (const key in wish.labels) {
    if (node.labels[key] !== wish.labels[key] && !failed.includes("labels")) failed.push("labels");
  }
  if (node.taints?.some((taint) => asked.tolerations?.includes(taint) !== true) === true) failed.push("taint");
  if (asked.networks?.some((name) => node.networks?.includes(name) === false) === true) failed.push("network");
  if (asked.storage?.some((name) => node.storage?.includes(name) === false) === true) failed.push("storage");
  for (const { from, milliseconds } of wish.maxLatency ?? []) {
    if (latencyOf(from, node) > milliseconds) failed.push("latency");
  }
  for (const { relation, by, nodes, weight } of asked.affinity ?? []) {
    const peers = nodes.flatMap((name) => named(name) ?? []);
    const beside = peers.filter((peer) => domain(peer, by) === domain(node, by)).length;
    if (weight === undefined && peers.length > 0 && (relation === "with" ? beside === 0 : beside > 0))
      failed.push("affinity");
  }
  const { vcpus, memoryMiB, diskMiB } = offered(node);
  if (node.used.vcpus + asked.vcpus > vcpus) failed.push("capacity-vcpus");
  if (node.used.memoryMiB + asked.memoryMiB > memoryMiB) failed.push("capacity-memory");
  if (node.used.diskMiB + asked.diskMiB > diskMiB) failed.push("capacity-disk");
  for (const [kind, count] of Object.entries(asked.devices ?? {}))
    if ((node.spare?.devices?.[kind] ?? 0) < count) failed.push("device");
  if ((node.spare?.hugepagesMiB ?? 0) < (asked.hugepagesMiB ?? 0)) failed.push("hugepages");
  const cells = asked.pinnedCells ?? 0;
  const roomy = (node.spare?.cells ?? []).filter(
    (cell) => cell.vcpus * cells >= asked.vcpus && cell.memoryMiB * cells >= asked.memoryMiB,
  );
  if (roomy.length < cells) failed.push("pinning");
  return failed;
}

function domain(node: Candidate, by: "node" | "site" | "provider" | "country"): string {
  return { node: node.name, site: node.site, provider: node.provider, country: node.country }[by];
}

function latencyOf(from: string | { latitude: number; longitude: number }, node: Candidate): number {
  if (typeof from !== "string") return modelledRoundTripMs(from, node);
  const place = findPlace(from);
  if (place === undefined) return Number.POSITIVE_INFINITY;
  return node.measuredMs?.[place.name] ?? modelledRoundTripMs(place, node);
}

function offered({ capacity, overcommit = {} }: Candidate): Candidate["capacity"] {
  const { vcpus = 1, memoryMiB = 1 } = overcommit;
  return {
    vcpus: capacity.vcpus * vcpus,
    memoryMiB: capacity.memoryMiB * memoryMiB,
    diskMiB: capacity.diskMiB,
  };
}

/** What a node that fits costs, part after part as the weights are documented; sums in the order of the engine's, which rounding makes matter. */
export function cost(asked: PlacementRequest, node: Candidate, named: (name: string) => Candidate | undefined): number {
  const { spread = 0, pack = 0, price = 0, carbon = 0, latency = 0 } = asked.weights ?? { spread: 1 };
  const used = use(asked, { ...node, capacity: offered(node) });
  const from =
    latency === 0 ? [] : (asked.latencyFrom ?? (asked.constraints.maxLatency ?? []).map((limit) => limit.from));
  let here =
    price * ((node.eurosPerVcpuHour ?? 0.1) / 0.1) +
    carbon * ((node.carbonGramsPerKWh ?? 500) / 500) +
    latency * (Math.max(0, ...from.map((start) => latencyOf(start, node))) / 100);
  let apartOrWith = 0;
  for (const { relation, by, nodes, weight } of asked.affinity ?? []) {
    const peers = nodes.flatMap((name) => named(name) ?? []);
    if (weight === undefined || peers.length === 0) continue;
    const beside = peers.filter((peer) => domain(peer, by) === domain(node, by)).length;
    const part = relation === "apart" ? weight * beside : beside === 0 ? weight : 0;
    if (by === "node") apartOrWith += part;
    else here += part;
  }
  const { stayPut } = asked;
  if (stayPut !== undefined && named(stayPut.node) !== undefined && stayPut.node !== node.name)
    apartOrWith += stayPut.cost;
  return spread * used + pack * (1 - used) + here + apartOrWith;
}

/** The relative use of what runs out first, in one long expression. */
export function use(asked: PlacementRequest, { used, capacity }: Candidate): number {
  return Math.max(
    used.vcpus + asked.vcpus === 0 ? 0 : (used.vcpus + asked.vcpus) / capacity.vcpus,
    (used.memoryMiB + asked.memoryMiB) / capacity.memoryMiB,
    used.diskMiB + asked.diskMiB === 0 ? 0 : (used.diskMiB + asked.diskMiB) / capacity.diskMiB,
  );
}
