import {
  SkerryError,
  type Capacity,
  type HeldDevice,
  type InstanceResource,
  type NodeResource,
  type PlacementDecision,
  type ProviderResource,
  type SiteResource,
} from "@skerry/model";
import {
  decide,
  obstacles,
  place,
  placeOf,
  refusalError,
  shortfalls,
  byName,
  type Candidate,
  type Naming,
  type Placed,
  type PlacementRequest,
  type Placer,
  type RefusalReason,
} from "@skerry/placement";
import type { View } from "@skerry/store";
import type { UsedOn } from "./allocation.ts";
import { devicesAsked, devicesOn, pickDevices, type Host } from "./devices.ts";
import { rootVolumeOf } from "./reap.ts";
import { findImage } from "./references.ts";

/** Narrows a move's target; all given must hold. */
export interface Target {
  readonly toProvider?: string;
  readonly toSite?: string;
  readonly toNode?: string;
}

/** A node, why it, and what of the decision is kept. */
export interface Chosen {
  readonly node: string;
  readonly nodeId: string;
  readonly reason: string;
  readonly decision: Omit<PlacementDecision, "revision" | "generation">;
  /** What it has there for itself. */
  readonly devices?: HeldDevice[];
}

/**
 * Chooses a node by hard constraints and by what is free in this very transaction.
 * @throws SkerryError no-placement with what stands in the way, and what would change it
 */
export function chooseNode(
  candidates: readonly Host[],
  request: PlacementRequest,
  target: Target = {},
  naming: Naming = byName,
): Chosen {
  const { toProvider, toSite, toNode } = target;
  const isAnywhere = isEverywhere(target);
  const fleet = isAnywhere
    ? candidates
    : candidates.filter(
        ({ provider, site, name }) =>
          (toProvider === undefined || provider === toProvider) &&
          (toSite === undefined || site === toSite) &&
          (toNode === undefined || name === toNode),
      );
  if (!isAnywhere && fleet.length > 0 && fleet.every(({ name }) => request.excludeNodes?.includes(name) === true)) {
    throw new SkerryError("no-placement", `There is no other node${describeTarget(target)} than where it is.`, {
      remedy: "Name another provider, site or node; see what there is: skerry node list",
    });
  }
  const decision = place(request, fleet, naming);
  if (decision.outcome === "placed") return chosen(decision, request);
  if (fleet.length > 0 || isAnywhere) throw refusalError(decision);
  throw new SkerryError("no-placement", `There is no node${describeTarget(target)}.`, {
    remedy: "See what there is: skerry node list",
  });
}

function isEverywhere({ toProvider, toSite, toNode }: Target): boolean {
  return toProvider === undefined && toSite === undefined && toNode === undefined;
}

/** What asks for its target itself; undefined where the two do not go together. */
function narrow(request: PlacementRequest, { toProvider, toSite, toNode }: Target): PlacementRequest | undefined {
  const { nodes, sites, providers } = request.constraints;
  const isAllowed = (list: readonly string[] | undefined, name: string | undefined): boolean =>
    name === undefined || list === undefined || list.includes(name);
  if (!isAllowed(nodes, toNode) || !isAllowed(sites, toSite) || !isAllowed(providers, toProvider)) return undefined;
  const constraints = {
    ...request.constraints,
    ...(toNode === undefined ? {} : { nodes: [toNode] }),
    ...(toSite === undefined ? {} : { sites: [toSite] }),
    ...(toProvider === undefined ? {} : { providers: [toProvider] }),
  };
  return { ...request, constraints };
}

/** Up to so many nodes a look at each costs no more than what is kept to spare it. */
const few = 64;

/** Chooses among all nodes, as a transaction has them, and remembers how. @throws SkerryError no-placement as above */
export function chooseAnywhere<V extends { readonly revision: number }>(
  fleet: ChoosableFleet<V>,
  view: V,
  request: PlacementRequest,
  naming: Naming = byName,
): Chosen {
  const choice = chooseKept(fleet, view, request, naming);
  fleet.decided(view.revision, request);
  return choice;
}

/**
 * Chooses where something is to move, as a transaction has the nodes: one may have many moves, so that none is remembered.
 * @throws SkerryError no-placement as above
 */
export function chooseToward<V>(
  fleet: KeptFleet<V>,
  view: V,
  request: PlacementRequest,
  target: Target = {},
  naming: Naming = byName,
): Chosen {
  if (isEverywhere(target)) return chooseKept(fleet, view, request, naming);
  // Peers elsewhere count too.
  const narrowed = request.affinity === undefined ? undefined : narrow(request, target);
  if (narrowed !== undefined) return chooseKept(fleet, view, narrowed, naming);
  return chooseNode(fleet.in(view), request, target, naming);
}

function chooseKept<V>(fleet: KeptFleet<V>, view: V, request: PlacementRequest, naming: Naming): Chosen {
  const isLooked = fleet.size <= few && isPlain(request);
  const decision = isLooked ? place(request, fleet.in(view), naming) : decide(fleet.placerIn(view), request, naming);
  if (decision.outcome === "refused") throw refusalError(decision);
  return chosen(decision, request);
}

interface KeptFleet<V> {
  readonly size: number;
  in(view: V): readonly Host[];
  placerIn(view: V): Placer;
}

interface ChoosableFleet<V> extends KeptFleet<V> {
  decided(revision: number, request: PlacementRequest): void;
}

function isPlain({ weights, affinity, stayPut, seed }: PlacementRequest): boolean {
  return weights === undefined && affinity === undefined && stayPut === undefined && seed === undefined;
}

function chosen({ node, reason, considered, fitting, parts, next }: Placed, { devices }: PlacementRequest): Chosen {
  const choice = {
    node: node.name,
    nodeId: node.id,
    reason: reason.slice(0, 2048),
    decision: {
      considered,
      ...(fitting === undefined ? {} : { fitting }),
      parts,
      ...(next === undefined ? {} : { next: { nodeId: next.node.id, parts: next.parts } }),
    },
  };
  if (devices === undefined) return choice;
  const { freeDevices = [] }: Host = node;
  return { ...choice, devices: pickDevices(freeDevices, devices) };
}

/** A node that would take it now, other than those it is on; undefined where none would. For advice. */
export function fittingNode(
  candidates: readonly Candidate[],
  request: PlacementRequest,
  excludeNodes: readonly string[],
): string | undefined {
  const decision = place({ ...request, excludeNodes }, candidates);
  return decision.outcome === "placed" ? decision.node.name : undefined;
}

const passingReasons: ReadonlySet<RefusalReason> = new Set([
  "excluded",
  "unhealthy",
  "unschedulable",
  "taint",
  "capacity-vcpus",
  "capacity-memory",
  "capacity-disk",
  "device",
]);

/**
 * Which hard constraints do not hold on a node, whatever is free there and whether it is there now; empty where all do.
 * @param peers the nodes that affinities name; they count for nothing where absent
 */
export function violationsOn(
  request: PlacementRequest,
  candidate: Candidate,
  peers: readonly Candidate[] = [],
): readonly RefusalReason[] {
  return obstacles(request, candidate, peers).filter((reason) => !passingReasons.has(reason));
}

/** What a node lacks of what is asked of it, in words; `given` is what it would get back. */
export function lacking(request: PlacementRequest, candidate: Candidate, given: Readonly<Capacity>): readonly string[] {
  const used = {
    vcpus: candidate.used.vcpus - given.vcpus,
    memoryMiB: candidate.used.memoryMiB - given.memoryMiB,
    diskMiB: candidate.used.diskMiB - given.diskMiB,
  };
  return shortfalls(request, { ...candidate, used });
}

/**
 * Checks every instance that is on, or on its way to, a node that `concerns` picks: for changes of nodes, sites and providers,
 * made in this transaction before the call.
 * @throws SkerryError conflict that names the instances whose hard constraints would not hold any more
 */
export function refuseViolations(view: View, concerns: (candidate: Candidate) => boolean): void {
  const candidates = new Map(
    fleetOf(view, idle)
      .filter(concerns)
      .map((candidate) => [candidate.id, candidate]),
  );
  if (candidates.size === 0) return;
  const broken: string[] = [];
  let first: InstanceResource | undefined;
  for (const instance of view.scan("Instance")) {
    if (instance.spec.placement === undefined) continue;
    for (const nodeId of [instance.assignment?.nodeId, instance.assignment?.movingTo?.nodeId]) {
      const candidate = nodeId === undefined ? undefined : candidates.get(nodeId);
      if (candidate === undefined) continue;
      const why = violationsOn(requestOf(view, instance), candidate);
      if (why.length === 0) continue;
      first ??= instance;
      broken.push(`${instance.metadata.project}/${instance.metadata.name} (${why.join(", ")})`);
    }
  }
  if (first === undefined) return;
  throw new SkerryError(
    "conflict",
    `Instances are there whose placement would not allow it any more: ${broken.slice(0, 5).join(", ")}.`,
    {
      remedy: `Move these instances away first: skerry instance migrate ${first.metadata.name} --project ${first.metadata.project} --to-site SITE`,
      facts: { instances: broken.slice(0, 100) },
    },
  );
}

/** What an instance asks of its node. */
export function requestOf(view: View, instance: InstanceResource): PlacementRequest {
  const { placement, image } = instance.spec;
  const source = findImage(view, instance.metadata.project ?? "", image);
  // Once the volume is filled its image may be gone; then it is what the present node can run.
  const node = instance.assignment === undefined ? undefined : view.getById("Node", instance.assignment.nodeId);
  const architecture = placement?.architecture ?? source?.spec.architecture ?? node?.status.facts?.architecture;
  const diskMiB =
    rootVolumeOf(view, instance)?.spec.sizeMiB ?? instance.spec.diskMiB ?? source?.spec.virtualSizeMiB ?? 1;
  return requestFor({ ...instance.spec, diskMiB }, architecture);
}

/** The same of something that is not there. */
export function requestFor(
  spec: Pick<InstanceResource["spec"], "vcpus" | "memoryMiB" | "placement" | "devices"> & { readonly diskMiB: number },
  architecture = spec.placement?.architecture,
): PlacementRequest {
  const { vcpus, memoryMiB, diskMiB, placement = {} } = spec;
  const { weights, residency, tolerations, affinity: _elsewhere, ...constraints } = placement;
  const request = {
    vcpus,
    memoryMiB,
    diskMiB,
    constraints: { ...constraints, ...(architecture === undefined ? {} : { architecture }) },
    ...(weights === undefined ? {} : { weights }),
    ...(residency === undefined ? {} : { residency }),
    ...(tolerations === undefined ? {} : { tolerations }),
  };
  const devices = devicesAsked(spec.devices);
  return devices === undefined ? request : { ...request, devices };
}

const nothing: Capacity = { vcpus: 0, memoryMiB: 0, diskMiB: 0 };

/** For checks to which it does not matter what is free. */
export const idle: UsedOn = () => nothing;

/** Every node as placement sees it; one that has not joined yet is there too, as unhealthy and without capacity. */
export function fleetOf(view: View, used: UsedOn): readonly Host[] {
  return view.list("Node").flatMap((node) => candidateOf(view, node, used) ?? []);
}

/** One node as `fleetOf` has it. */
export function candidateAt(view: View, nodeId: string | undefined, used: UsedOn): Host | undefined {
  const node = nodeId === undefined ? undefined : view.getById("Node", nodeId);
  return node === undefined ? undefined : candidateOf(view, node, used);
}

/** Undefined where its site or provider is missing. */
export function candidateOf(view: View, node: NodeResource, used: UsedOn): Host | undefined {
  const site = view.get("Site", { name: node.spec.site });
  const provider = site === undefined ? undefined : view.get("Provider", { name: site.spec.provider });
  if (site === undefined || provider === undefined) return undefined;
  const { facts } = node.status;
  const { country, tier, latitude, longitude, carbonGramsPerKWh, eurosPerVcpuHour, overcommit, latencies } = site.spec;
  const { taints } = node.spec;
  const taken = used(node.metadata.id);
  return {
    name: node.metadata.name,
    id: node.metadata.id,
    site: site.metadata.name,
    provider: provider.metadata.name,
    country,
    jurisdiction: provider.spec.jurisdiction ?? provider.spec.country,
    sovereigntyLevel: provider.spec.sovereigntyLevel ?? 0,
    tier,
    labels: node.metadata.labels,
    architecture: facts?.architecture ?? "x86_64",
    latitude,
    longitude,
    schedulable: [node, site, provider].every(takesNew) && node.metadata.deletedAt === undefined,
    ...cordonAbove(site, provider),
    healthy: isHealthy(node),
    capacity: (facts === undefined ? undefined : (node.spec.capacityOverride ?? facts.capacity)) ?? nothing,
    used: taken,
    ...(facts?.devices === undefined ? {} : devicesOn(facts.devices, taken.devices)),
    ...(carbonGramsPerKWh === undefined ? {} : { carbonGramsPerKWh }),
    ...(eurosPerVcpuHour === undefined ? {} : { eurosPerVcpuHour }),
    ...(overcommit === undefined ? {} : { overcommit }),
    ...(latencies === undefined ? {} : { measuredMs: measuredMs(latencies) }),
    ...(taints === undefined || taints.length === 0 ? {} : { taints }),
  };
}

/** By the names that places go by. */
export function measuredMs(
  latencies: NonNullable<SiteResource["spec"]["latencies"]>,
): Readonly<Record<string, number>> {
  return Object.fromEntries(latencies.map(({ from, milliseconds }) => [placeOf(from).name, milliseconds]));
}

/** Whether it is not cordoned itself. */
function takesNew({ spec }: { readonly spec: { readonly schedulable?: boolean } }): boolean {
  return spec.schedulable !== false;
}

function cordonAbove(site: SiteResource, provider: ProviderResource): Pick<Candidate, "cordonedBy"> {
  const above = [provider, site].find((one) => !takesNew(one));
  return above === undefined ? {} : { cordonedBy: `${above.kind.toLowerCase()} ${above.metadata.name}` };
}

function isHealthy(node: NodeResource): boolean {
  return node.status.connected && node.status.facts !== undefined;
}

function describeTarget({ toProvider, toSite, toNode }: Target): string {
  const words = [
    toNode === undefined ? "" : ` called ${toNode}`,
    toSite === undefined ? "" : ` at site ${toSite}`,
    toProvider === undefined ? "" : ` of provider ${toProvider}`,
  ];
  return words.join("");
}
