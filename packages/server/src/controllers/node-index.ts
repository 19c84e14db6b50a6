import type { InstanceResource, NetworkResource, NodeResource, VolumeResource } from "@skerry/model";
import type { Before, ChangeEvent, Documents, OutlinedKind, View } from "@skerry/store";
import { instanceFootprint, networkKey, volumeFootprint, type FleetView, type Footprint } from "./fleet-view.ts";
import { rootVolumeOf } from "./reap.ts";
import { findImage } from "./references.ts";
import { Touches, type Touched } from "./touches.ts";

/**
 * Finds by node what concerns it, kept up with the store's changes: a change costs what it touches, never the whole fleet.
 * Tells what a change may alter in which nodes' wanted states.
 */
export class NodeIndex implements FleetView {
  readonly #view: View & { readonly documents: Documents };
  readonly #instances = new Strays();
  readonly #volumes = new Strays();
  /** By network key: how many instances need it on each node. */
  readonly #carried = new Map<string, Map<string, number>>();
  /** Keys of those networks, by node. */
  readonly #carrying = new Map<string, Set<string>>();
  readonly #nodeFaces = new Map<string, string>();

  /** About 0.3 us for each instance. */
  constructor(view: View & { readonly documents: Documents }) {
    this.#view = view;
    // Neighbours are of one network mostly.
    let [project, network, nodes]: [string, string, Map<string, number> | undefined] = ["", "", undefined];
    view.plains("Instance", (instance) => {
      const { nodeId } = instance;
      if (nodeId === "" || instance.network === "") return;
      if (nodes === undefined || instance.project !== project || instance.network !== network) {
        [project, network] = [instance.project, instance.network];
        nodes = this.#nodesOf(networkKey(project, network));
      }
      const count = (nodes.get(nodeId) ?? 0) + 1;
      nodes.set(nodeId, count);
      if (count === 1) this.#carry(nodeId, networkKey(project, network));
    });
    for (const instance of view.notables("Instance")) {
      const footprint = instanceFootprint(instance);
      this.#count(footprint, 1);
      this.#instances.put(instance.metadata.id, strayNodes(instance, footprint));
    }
    for (const volume of view.notables("Volume"))
      this.#volumes.put(volume.metadata.id, strayNodes(volume, volumeFootprint(volume)));
    for (const node of view.list("Node")) this.#nodeFaces.set(node.metadata.id, faceOf(node));
  }

  get revision(): number {
    return this.#view.revision;
  }

  node(id: string): NodeResource | undefined {
    return this.#view.getById("Node", id);
  }

  instancesOn(nodeId: string): readonly InstanceResource[] {
    return this.instanceIdsOn(nodeId).flatMap((id) => this.#view.getById("Instance", id) ?? []);
  }

  volumesOn(nodeId: string): readonly VolumeResource[] {
    return this.volumeIdsOn(nodeId).flatMap((id) => this.#view.getById("Volume", id) ?? []);
  }

  instanceIdsOn(nodeId: string): readonly string[] {
    return this.#idsOn("Instance", nodeId, this.#instances);
  }

  volumeIdsOn(nodeId: string): readonly string[] {
    return this.#idsOn("Volume", nodeId, this.#volumes);
  }

  instanceOn(nodeId: string, id: string): InstanceResource | undefined {
    const instance = this.#view.getById("Instance", id);
    return instance !== undefined && instanceFootprint(instance).nodes.includes(nodeId) ? instance : undefined;
  }

  volumeOn(nodeId: string, id: string): VolumeResource | undefined {
    const volume = this.#view.getById("Volume", id);
    return volume !== undefined && volumeFootprint(volume).nodes.includes(nodeId) ? volume : undefined;
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

  networksOn(nodeId: string): readonly NetworkResource[] {
    return [...(this.#carrying.get(nodeId) ?? [])].flatMap((key) => {
      const [project = "", name = ""] = key.split("/");
      return this.#view.get("Network", { project, name }) ?? [];
    });
  }

  exchangedOn(nodeId: string): readonly VolumeResource[] {
    // Whoever exchanges one has it as well as the other.
    const volumes = this.#volumes.on(nodeId).flatMap((id) => this.#view.getById("Volume", id) ?? []);
    return volumes.filter(({ assignment }) => assignment?.offeredTo !== undefined);
  }

  nodesOn(network: NetworkResource): readonly string[] {
    return this.#carriers(networkKey(network.metadata.project, network.metadata.name));
  }

  image(project: string | undefined, reference: string) {
    return findImage(this.#view, project ?? "", reference);
  }

  /** Takes durable changes in and returns what they may alter in the wanted states of nodes. */
  apply(events: readonly ChangeEvent[], before: Before): ReadonlyMap<string, Touched> {
    const touches = new Touches();
    for (const [index, event] of events.entries()) this.#applyOne(event, before[index], touches);
    return touches.byNode;
  }

  #applyOne(event: ChangeEvent, before: Before[number], touches: Touches): void {
    switch (event.kind) {
      case "Instance": {
        const [old, now] = [before, event.object] as [InstanceResource | undefined, InstanceResource];
        const footprint = event.type === "deleted" ? undefined : instanceFootprint(now);
        this.#instances.put(event.id, strayNodes(now, footprint));
        const oldFootprint = old === undefined ? undefined : instanceFootprint(old);
        for (const nodeId of oldFootprint?.nodes ?? []) touches.instance(nodeId, event.id);
        for (const nodeId of footprint?.nodes ?? []) touches.instance(nodeId, event.id);
        for (const nodeId of this.#recount(oldFootprint, footprint)) touches.surroundings(nodeId);
        return;
      }
      case "Volume": {
        const [old, now] = [before, event.object] as [VolumeResource | undefined, VolumeResource];
        const footprint = event.type === "deleted" ? undefined : volumeFootprint(now);
        this.#volumes.put(event.id, strayNodes(now, footprint));
        const oldFootprint = old === undefined ? undefined : volumeFootprint(old);
        // Those who exchange a volume are each other's peers.
        const isOffered = old?.assignment?.offeredTo !== undefined || now.assignment?.offeredTo !== undefined;
        for (const nodeId of [...(oldFootprint?.nodes ?? []), ...(footprint?.nodes ?? [])]) {
          touches.volume(nodeId, event.id);
          if (isOffered) touches.surroundings(nodeId);
        }
        if (old === undefined || event.type === "deleted" || old.spec.instance !== now.spec.instance) {
          this.#touchOwner(old ?? now, touches);
          this.#touchOwner(now, touches);
        }
        return;
      }
      case "Network": {
        for (const nodeId of this.#carriers(networkKey(event.project, event.name))) touches.everything(nodeId);
        return;
      }
      case "Node":
        for (const nodeId of this.#applyNode(event)) touches.surroundings(nodeId);
        return;
      case "Image":
      case "Organisation":
      case "Project":
      case "Provider":
      case "Site":
      case "Operation":
      case "JoinToken":
      case "ApiToken":
      case "User":
      case "Group":
      case "ServiceAccount":
      case "Role":
      case "RoleBinding":
      case "IdentityProvider":
      case "Meter":
      case "DisruptionBudget":
        return;
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
    const shared = [...(this.#carrying.get(nodeId) ?? [])].flatMap((key) => this.#carriers(key));
    return [...shared, ...this.#volumes.partnersOf(nodeId)];
  }

  #idsOn(kind: OutlinedKind, nodeId: string, strays: Strays): readonly string[] {
    const ids = this.#view.documents.idsOnNode(kind, nodeId);
    const others = strays.on(nodeId);
    return others.length === 0 ? ids : unique([...ids, ...others]).sort();
  }

  /** Nodes that carry other networks now, or share one with other nodes than before. */
  #recount(before: Footprint | undefined, footprint: Footprint | undefined): readonly string[] {
    if (before !== undefined && footprint !== undefined && sameFootprint(before, footprint)) return [];
    const left = before === undefined ? [] : this.#count(before, -1);
    const entered = footprint === undefined ? [] : this.#count(footprint, 1);
    const changed = [...left, ...entered];
    if (changed.length === 0) return [];
    const carriers = changed.flatMap((key) => this.#carriers(key));
    return [...(before?.networkNodes ?? []), ...(footprint?.networkNodes ?? []), ...carriers];
  }

  /** An instance is wanted where it has its root volume. */
  #touchOwner(volume: VolumeResource, touches: Touches): void {
    const { project } = volume.metadata;
    const name = volume.spec.instance;
    const owner = name === undefined ? undefined : this.#view.get("Instance", { project, name });
    if (owner === undefined) return;
    for (const nodeId of instanceFootprint(owner).nodes) touches.instance(nodeId, owner.metadata.id);
  }

  #nodesOf(key: string): Map<string, number> {
    const known = this.#carried.get(key);
    if (known !== undefined) return known;
    const made = new Map<string, number>();
    this.#carried.set(key, made);
    return made;
  }

  #count({ networks, networkNodes }: Footprint, change: 1 | -1): readonly string[] {
    const changed: string[] = [];
    for (const key of networks) {
      const nodes = this.#carried.get(key) ?? new Map<string, number>();
      for (const nodeId of networkNodes) {
        const count = (nodes.get(nodeId) ?? 0) + change;
        if (count === 0) {
          nodes.delete(nodeId);
          this.#drop(nodeId, key);
        } else nodes.set(nodeId, count);
        if (count === 1 && change === 1) this.#carry(nodeId, key);
        if (count === 0 || (count === 1 && change === 1)) changed.push(key);
      }
      if (nodes.size === 0) this.#carried.delete(key);
      else this.#carried.set(key, nodes);
    }
    return changed;
  }

  #carry(nodeId: string, key: string): void {
    const keys = this.#carrying.get(nodeId);
    if (keys === undefined) this.#carrying.set(nodeId, new Set([key]));
    else keys.add(key);
  }

  #drop(nodeId: string, key: string): void {
    const keys = this.#carrying.get(nodeId);
    keys?.delete(key);
    if (keys?.size === 0) this.#carrying.delete(nodeId);
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

/** All nodes that an object concerns, where it concerns others than the one that it is assigned to. */
function strayNodes(object: InstanceResource | VolumeResource, footprint: Footprint | undefined): readonly string[] {
  const { nodes } = footprint ?? nothing;
  // The store does not find what is removed by the node that it was removed from.
  const own = object.assignment?.removal?.done === true ? undefined : object.assignment?.nodeId;
  return nodes.every((nodeId) => nodeId === own) ? [] : nodes;
}

const nothing: Footprint = { nodes: [], networks: [], networkNodes: [] };

/** The few objects that concern more nodes than their own; the store finds all others by their node. */
class Strays {
  readonly #nodes = new Map<string, readonly string[]>();
  readonly #byNode = new Map<string, Set<string>>();

  /** Instead of what was known of it. */
  put(id: string, nodes: readonly string[]): void {
    this.#forget(id);
    if (nodes.length === 0) return;
    this.#nodes.set(id, nodes);
    for (const nodeId of nodes) {
      const ids = this.#byNode.get(nodeId);
      if (ids === undefined) this.#byNode.set(nodeId, new Set([id]));
      else ids.add(id);
    }
  }

  #forget(id: string): void {
    for (const nodeId of this.#nodes.get(id) ?? []) {
      const ids = this.#byNode.get(nodeId);
      ids?.delete(id);
      if (ids?.size === 0) this.#byNode.delete(nodeId);
    }
    this.#nodes.delete(id);
  }

  on(nodeId: string): readonly string[] {
    return [...(this.#byNode.get(nodeId) ?? [])];
  }

  /** Nodes that an object here concerns too. */
  partnersOf(nodeId: string): readonly string[] {
    return this.on(nodeId).flatMap((id) => this.#nodes.get(id) ?? []);
  }
}

function unique(ids: readonly string[]): string[] {
  return [...new Set(ids)];
}
