import {
  SkerryError,
  type Capacity,
  type InstanceResource,
  type NodeResource,
  type PlacementConstraints,
  type ProviderResource,
  type SiteResource,
} from "@skerry/model";
import type { View } from "@skerry/store";
import { allocatedByNode, freeOn } from "./allocation.ts";
import { rootVolumeOf } from "./reap.ts";
import { findImage } from "./references.ts";

/** A node as placement weighs it. */
export interface Candidate {
  readonly node: NodeResource;
  readonly site: SiteResource;
  readonly provider: ProviderResource;
  readonly architecture: "x86_64" | "aarch64";
  /** What it has left. */
  readonly free: Capacity;
}

export interface PlacementRequest {
  readonly constraints: PlacementConstraints;
  readonly architecture: "x86_64" | "aarch64";
  readonly need: Capacity;
}

/** Where, and why there; or why nowhere, one sentence per group of nodes that fail alike. */
export type PlacementDecision =
  | { readonly node: NodeResource; readonly reason: string }
  | { readonly node?: never; readonly reason: string; readonly refusals: readonly string[] };

/** The placement engine: exact about hard constraints, pure. */
export type Place = (request: PlacementRequest, candidates: readonly Candidate[]) => PlacementDecision;

/** Narrows a move's target; all given must hold. */
export interface Target {
  readonly toProvider?: string;
  readonly toSite?: string;
  readonly toNode?: string;
}

export interface NodeChoice {
  readonly request: PlacementRequest;
  readonly target?: Target;
  /** Nodes that do not come into question, by id, and why not. */
  readonly except?: ReadonlyMap<string, string>;
}

/**
 * Chooses a node that is connected and schedulable, by hard constraints and what is free in this very transaction.
 * @throws SkerryError no-placement with the reason for every group of nodes
 */
export function chooseNode(view: View, place: Place, choice: NodeChoice): { readonly node: NodeResource; readonly reason: string } {
  const { target = {}, except } = choice;
  const refusals: string[] = [];
  const all = candidatesOf(view, refusals).filter(
    ({ node, site }) =>
      (target.toProvider === undefined || site.spec.provider === target.toProvider) &&
      (target.toSite === undefined || node.spec.site === target.toSite) &&
      (target.toNode === undefined || node.metadata.name === target.toNode),
  );
  const usable = all.filter(({ node }) => {
    const obstacle = except?.get(node.metadata.id) ?? obstacleOf(node);
    if (obstacle !== undefined) refusals.push(`${node.metadata.name} ${obstacle}`);
    return obstacle === undefined;
  });
  const decision = place(choice.request, usable);
  if (decision.node !== undefined) return decision;
  const reasons = [...decision.refusals, ...refusals];
  const where = describeTarget(target);
  throw new SkerryError("no-placement", `No node${where} takes it: ${reasons.length === 0 ? "there is none" : reasons.join("; ")}.`, {
    remedy: "Relax what it asks for, free or add capacity, or connect the nodes that are away: skerry node list",
    facts: { reasons },
  });
}

/** Why an instance may not be on a node by its hard constraints, whatever is free there; undefined where it may. */
export function violationOn(place: Place, request: PlacementRequest, candidate: Candidate): string | undefined {
  const unbounded = { vcpus: 2 ** 40, memoryMiB: 2 ** 40, diskMiB: 2 ** 40 };
  const decision = place(request, [{ ...candidate, free: unbounded }]);
  if (decision.node !== undefined) return undefined;
  return decision.refusals.length > 0 ? decision.refusals.join("; ") : decision.reason;
}

/**
 * Checks every instance that is on, or on its way to, a node that `concerns` picks: for changes of nodes, sites and providers,
 * made in this transaction before the call.
 * @throws SkerryError conflict that names the instances whose hard constraints would not hold any more
 */
export function refuseViolations(view: View, place: Place, concerns: (candidate: Candidate) => boolean): void {
  const candidates = new Map(candidatesOf(view, []).filter(concerns).map((candidate) => [candidate.node.metadata.id, candidate]));
  if (candidates.size === 0) return;
  const broken: string[] = [];
  for (const instance of view.list("Instance")) {
    if (instance.spec.placement === undefined) continue;
    for (const nodeId of [instance.assignment?.nodeId, instance.assignment?.movingTo?.nodeId]) {
      const candidate = nodeId === undefined ? undefined : candidates.get(nodeId);
      if (candidate === undefined) continue;
      const why = violationOn(place, requestOf(view, instance), candidate);
      if (why !== undefined) broken.push(`${instance.metadata.project}/${instance.metadata.name} (${why})`);
    }
  }
  if (broken.length === 0) return;
  throw new SkerryError("conflict", `Instances are there whose placement would not allow it any more: ${broken.slice(0, 5).join(", ")}.`, {
    remedy: "Migrate these instances away, or change their spec.placement, first.",
    facts: { instances: broken.slice(0, 100) },
  });
}

/** What an instance asks of its node. */
export function requestOf(view: View, instance: InstanceResource): PlacementRequest {
  const { vcpus, memoryMiB, placement = {}, image } = instance.spec;
  const { project = "" } = instance.metadata;
  const source = findImage(view, project, image);
  // Once the volume is filled its image may be gone; then it is what the present node can run.
  const node = instance.assignment === undefined ? undefined : view.getById("Node", instance.assignment.nodeId);
  const architecture = source?.spec.architecture ?? node?.status.facts?.architecture ?? "x86_64";
  const diskMiB = rootVolumeOf(view, instance)?.spec.sizeMiB ?? instance.spec.diskMiB ?? source?.spec.virtualSizeMiB ?? 1;
  return { constraints: placement, architecture, need: { vcpus, memoryMiB, diskMiB } };
}

/** Nodes whose facts are known, with their site and provider. */
export function candidatesOf(view: View, refusals: string[]): readonly Candidate[] {
  const allocated = allocatedByNode(view);
  const candidates: Candidate[] = [];
  for (const node of view.list("Node")) {
    const { facts } = node.status;
    const site = view.get("Site", { name: node.spec.site });
    const provider = site === undefined ? undefined : view.get("Provider", { name: site.spec.provider });
    if (facts === undefined || site === undefined || provider === undefined) {
      refusals.push(`${node.metadata.name} has not joined yet`);
      continue;
    }
    const capacity = node.spec.capacityOverride ?? facts.capacity;
    candidates.push({ node, site, provider, architecture: facts.architecture, free: freeOn(capacity, allocated.get(node.metadata.id)) });
  }
  return candidates;
}

function obstacleOf(node: NodeResource): string | undefined {
  if (node.metadata.deletedAt !== undefined) return "is being deleted";
  if (node.spec.schedulable === false) return "takes no new instances (spec.schedulable is false)";
  if (!node.status.connected) return "is not connected";
  return undefined;
}

function describeTarget(target: Target): string {
  const { toProvider, toSite, toNode } = target;
  const words = [
    toNode === undefined ? "" : ` called ${toNode}`,
    toSite === undefined ? "" : ` at site ${toSite}`,
    toProvider === undefined ? "" : ` of provider ${toProvider}`,
  ];
  return words.join("");
}
