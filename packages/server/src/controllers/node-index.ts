import type { InstanceResource, NetworkResource, NodeResource, VolumeResource } from "@skerry/model";
import type { ChangeEvent, View } from "@skerry/store";
import { instanceFootprint, networkKey, volumeFootprint, type FleetView, type Footprint } from "./fleet-view.ts";
import { rootVolumeOf } from "./reap.ts";
import { findImage } from "./references.ts";

/**
 * Finds by node what concerns it, kept up with the store's changes: a change costs what it touches, never the whole fleet.
 * Tells which nodes' wanted states a change may alter.
 */
export class NodeIndex implements FleetView {
  readonly #view: View;
  readonly #instances = new Buckets();
  readonly #volumes = new Buckets();
  /** By network key: how many instances need it on each node. */
  readonly #carried = new Map<string, Map<string, number>>();
  readonly #footprints = new Map<string, Footprint>();
  readonly #nodeFaces = new Map<string, string>();

  constructor(view: View) {
    this.#view = view;
    for (const instance of view.scan("Instance"))
      this.#place(instance.metadata.id, instanceFootprint(instance), this.#instances);
    for (const volume of view.scan("Volume")) this.#place(volume.metadata.id, volumeFootprint(volume), this.#volumes);
    for (const node of view.list("Node")) this.#nodeFaces.set(node.metadata.id, faceOf(node));
  }

  get revision(): number {
    return this.#view.revision;
  }

  node(id: string): NodeResource | undefined {
    return this.#view.getById("Node", id);
  }

  instancesOn(nodeId: string): readonly InstanceResource[] {
    return this.#instances.get(nodeId).flatMap((id) => this.#view.getById("Instance", id) ?? []);
  }

  volumesOn(nodeId: string): readonly VolumeResource[] {
    return this.#volumes.get(nodeId).flatMap((id) => this.#view.getById("Volume", id) ?? []);
  }

  instanceIdsOn(nodeId: string): readonly string[] {
    return this.#instances.get(nodeId);
  }

  volumeIdsOn(nodeId: string): readonly string[] {
    return this.#volumes.get(nodeId);
  }

  rootVolume(instance: InstanceResource): VolumeResource | undefined {
    return rootVolumeOf(this.#view, instance);
  }

  network(project: string | undefined, name: string): NetworkResource | undefined {
    return this.#view.get("Network", { project, name });
  }

  networkById(id: string): NetworkResource | undefined {
    return this.#view.getById("Network", id);
  }

  nodesOn(network: NetworkResource): readonly string[] {
    return this.#carriers(networkKey(network.metadata.project, network.metadata.name));
  }

  image(project: string | undefined, reference: string) {
    return findImage(this.#view, project ?? "", reference);
  }

  /** Takes durable changes in and returns the nodes whose wanted states they may alter. */
  apply(events: readonly ChangeEvent[]): ReadonlySet<string> {
    const affected = new Set<string>();
    for (const event of events) for (const nodeId of this.#applyOne(event)) affected.add(nodeId);
    return affected;
  }

  #applyOne(event: ChangeEvent): readonly string[] {
    switch (event.kind) {
      case "Instance": {
        const footprint = event.type === "deleted" ? undefined : instanceFootprint(event.object as InstanceResource);
        return this.#move(event.id, footprint, this.#instances);
      }
      case "Volume": {
        const footprint = event.type === "deleted" ? undefined : volumeFootprint(event.object as VolumeResource);
        return this.#move(event.id, footprint, this.#volumes);
      }
      case "Network": {
        const key = networkKey(event.project, event.name);
        return this.#carriers(key);
      }
      case "Node":
        return this.#applyNode(event);
      case "Image":
      case "Organisation":
      case "Project":
      case "Provider":
      case "Site":
      case "Operation":
      case "JoinToken":
      case "ApiToken":
        return [];
    }
  }

  /** A node's own state depends on all of it; its neighbours' on the few fields that they know it by. */
  #applyNode(event: ChangeEvent): readonly string[] {
    const node = event.object as NodeResource;
    const face = event.type === "deleted" ? undefined : faceOf(node);
    const before = this.#nodeFaces.get(event.id);
    if (face === undefined) this.#nodeFaces.delete(event.id);
    else this.#nodeFaces.set(event.id, face);
    return face === before ? [event.id] : [event.id, ...this.#neighbours(event.id)];
  }

  #neighbours(nodeId: string): readonly string[] {
    const networks = new Set(this.#instances.get(nodeId).flatMap((id) => this.#footprints.get(id)?.networks ?? []));
    const partners = this.#volumes.get(nodeId).flatMap((id) => this.#footprints.get(id)?.nodes ?? []);
    return [...[...networks].flatMap((key) => this.#carriers(key)), ...partners];
  }

  #move(id: string, footprint: Footprint | undefined, buckets: Buckets): readonly string[] {
    const before = this.#footprints.get(id);
    const affected = [...(before?.nodes ?? []), ...(footprint?.nodes ?? [])];
    if (before !== undefined && footprint !== undefined && sameFootprint(before, footprint)) return affected;
    const left = before === undefined ? [] : this.#displace(id, before, buckets);
    const entered = footprint === undefined ? [] : this.#place(id, footprint, buckets);
    for (const key of [...left, ...entered]) affected.push(...this.#carriers(key));
    return affected;
  }

  /** Returns the networks that a node now carries and did not before. */
  #place(id: string, footprint: Footprint, buckets: Buckets): readonly string[] {
    this.#footprints.set(id, footprint);
    for (const nodeId of footprint.nodes) buckets.add(nodeId, id);
    return this.#count(footprint, 1);
  }

  /** Returns the networks that a node carried and does not any more. */
  #displace(id: string, footprint: Footprint, buckets: Buckets): readonly string[] {
    this.#footprints.delete(id);
    for (const nodeId of footprint.nodes) buckets.delete(nodeId, id);
    return this.#count(footprint, -1);
  }

  #count({ networks, networkNodes }: Footprint, change: 1 | -1): readonly string[] {
    const changed: string[] = [];
    for (const key of networks) {
      const nodes = this.#carried.get(key) ?? new Map<string, number>();
      for (const nodeId of networkNodes) {
        const count = (nodes.get(nodeId) ?? 0) + change;
        if (count === 0) nodes.delete(nodeId);
        else nodes.set(nodeId, count);
        if (count === 0 || (count === 1 && change === 1)) changed.push(key);
      }
      if (nodes.size === 0) this.#carried.delete(key);
      else this.#carried.set(key, nodes);
    }
    return changed;
  }

  #carriers(key: string): readonly string[] {
    return [...(this.#carried.get(key)?.keys() ?? [])].sort();
  }
}

function sameFootprint(one: Footprint, other: Footprint): boolean {
  return (
    sameList(one.nodes, other.nodes) &&
    sameList(one.networks, other.networks) &&
    sameList(one.networkNodes, other.networkNodes)
  );
}

function sameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index]);
}

/** What other nodes know of a node. */
function faceOf(node: NodeResource): string {
  const { publicKey, overlayIndex, facts } = node.status;
  return JSON.stringify([
    publicKey,
    overlayIndex,
    facts?.dataEndpoint,
    facts?.overlayEndpoint,
    facts?.overlayPublicKey,
  ]);
}

/** Sets of ids by key, given in order. */
class Buckets {
  readonly #sets = new Map<string, Set<string>>();

  get(key: string): string[] {
    return [...(this.#sets.get(key) ?? [])].sort();
  }

  add(key: string, id: string): void {
    const set = this.#sets.get(key);
    if (set === undefined) this.#sets.set(key, new Set([id]));
    else set.add(id);
  }

  delete(key: string, id: string): void {
    const set = this.#sets.get(key);
    set?.delete(id);
    if (set?.size === 0) this.#sets.delete(key);
  }
}
