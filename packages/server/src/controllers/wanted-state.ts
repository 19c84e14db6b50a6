import type {
  InstanceResource,
  NetworkResource,
  NodeFacts,
  NodeResource,
  VolumeCopy,
  VolumeResource,
} from "@skerry/model";
import {
  isOverlayPublicKey,
  overlayAddress,
  overlayPrefixLength,
  parseEndpoint,
  type VolumeOrigin,
  type WantedInstance,
  type WantedNetwork,
  type WantedPeer,
  type WantedState,
  type WantedVolume,
} from "@skerry/protocol";
import { rangeOf } from "./addressing/network-address.ts";
import { addressesOf } from "./devices.ts";
import { replaceAfterOf } from "./instance-lease.ts";
import type { FleetView } from "./fleet-view.ts";

/** What a node is to be, but for the revision at which that was decided. */
export type WantedContent = Omit<WantedState, "revision">;

/** Who the node is, and what it shares with others. */
export type Surroundings = Pick<WantedState, "node" | "peers" | "networks">;

/**
 * What the server wants of one node, whole; undefined for a node that has not joined. Pure and in a fixed order, so that equal
 * wishes are equal texts. What must go is mentioned as absent until it was seen gone.
 */
export function wantedStateOf(fleet: FleetView, nodeId: string): WantedContent | undefined {
  const node = fleet.node(nodeId);
  const index = node?.status.overlayIndex;
  if (node === undefined || index === undefined || node.metadata.deletedAt !== undefined) return undefined;
  const instances = fleet.instancesOn(nodeId);
  const volumes = fleet.volumesOn(nodeId);
  return {
    ...surroundings(fleet, node, index),
    volumes: volumes.map((volume) => wantedVolume(fleet, volume, nodeId)).filter((volume) => volume !== undefined),
    instances: instances
      .map((instance) => wantedInstance(fleet, instance, nodeId))
      .filter((instance) => instance !== undefined),
  };
}

/** All but its volumes and instances; undefined as `wantedStateOf` is. */
export function wantedSurroundingsOf(fleet: FleetView, nodeId: string): Surroundings | undefined {
  const node = fleet.node(nodeId);
  const index = node?.status.overlayIndex;
  if (node === undefined || index === undefined || node.metadata.deletedAt !== undefined) return undefined;
  return surroundings(fleet, node, index);
}

/** Costs what it holds, however many instances and volumes the node has. */
function surroundings(fleet: FleetView, node: NodeResource, overlayIndex: number): Surroundings {
  const { id, name } = node.metadata;
  const networks = networksOf(fleet, node);
  return {
    node: { id, name, overlayAddress: overlayAddress(overlayIndex), overlayPrefixLength },
    peers: peersOf(fleet, id, networks),
    networks,
  };
}

/** As a node's wanted state has it; undefined where that does not mention it. */
export function wantedVolumeOf(fleet: FleetView, id: string, nodeId: string): WantedVolume | undefined {
  const volume = fleet.volumeOn(nodeId, id);
  return volume === undefined ? undefined : wantedVolume(fleet, volume, nodeId);
}

/** As a node's wanted state has it; undefined where that does not mention it. */
export function wantedInstanceOf(fleet: FleetView, id: string, nodeId: string): WantedInstance | undefined {
  const instance = fleet.instanceOn(nodeId, id);
  return instance === undefined ? undefined : wantedInstance(fleet, instance, nodeId);
}

function wantedVolume(fleet: FleetView, volume: VolumeResource, nodeId: string): WantedVolume | undefined {
  const { assignment, metadata, spec } = volume;
  if (assignment === undefined) return undefined;
  const { id } = metadata;
  const copy = assignment.copies?.find((candidate) => candidate.nodeId === nodeId);
  if (assignment.nodeId === nodeId) {
    const origin = originOf(fleet, volume);
    if (origin === undefined) return undefined;
    const absent = assignment.removal !== undefined;
    const { offeredTo } = assignment;
    return {
      id,
      presence: absent ? "absent" : "present",
      epoch: assignment.epoch,
      sizeMiB: spec.sizeMiB,
      origin,
      access: absent ? "hold" : offeredTo === undefined ? "write" : "offer",
      ...(offeredTo === undefined || absent ? {} : { offeredTo }),
    };
  }
  if (copy === undefined) return undefined;
  const presence = copy.purpose === "remove" ? "absent" : "present";
  return { id, presence, epoch: copy.epoch, sizeMiB: spec.sizeMiB, origin: copyOrigin(volume, copy), access: "hold" };
}

function originOf(fleet: FleetView, volume: VolumeResource): VolumeOrigin | undefined {
  const { metadata, spec, assignment } = volume;
  if (assignment?.filled === true || assignment?.removal !== undefined) return { kind: "existing" };
  if (spec.image === undefined) return { kind: "blank" };
  const image = fleet.image(metadata.project, spec.image);
  if (image === undefined) return undefined;
  const { digest, sizeBytes, format } = image.spec;
  return { kind: "image", digest, sizeBytes, format };
}

function copyOrigin(volume: VolumeResource, copy: VolumeCopy): VolumeOrigin {
  const { assignment } = volume;
  if (copy.purpose !== "import" || assignment?.offeredTo === undefined) return { kind: "existing" };
  return { kind: "import", fromNode: assignment.nodeId, ticket: assignment.offeredTo.ticket };
}

function wantedInstance(fleet: FleetView, instance: InstanceResource, nodeId: string): WantedInstance | undefined {
  const { assignment, metadata, spec } = instance;
  if (assignment === undefined) return undefined;
  const former = assignment.former?.find((place) => place.nodeId === nodeId);
  const here = assignment.nodeId === nodeId;
  const rootVolume = fleet.rootVolume(instance)?.metadata.id;
  if ((!here && former === undefined) || rootVolume === undefined) return undefined;
  const absent = !here || assignment.removal !== undefined;
  const seconds = replaceAfterOf(instance);
  const power = absent || assignment.heldBy !== undefined ? "stopped" : (spec.power ?? "running");
  return {
    id: metadata.id,
    presence: absent ? "absent" : "present",
    epoch: here ? assignment.epoch : (former?.epoch ?? assignment.epoch),
    generation: metadata.generation,
    name: metadata.name,
    project: metadata.project ?? "",
    power,
    ...(assignment.stopGraceMs === undefined ? {} : { stopGraceMs: assignment.stopGraceMs }),
    vcpus: spec.vcpus,
    memoryMiB: spec.memoryMiB,
    rootVolume,
    nics: absent ? [] : nicsOf(fleet, instance),
    ...(assignment.devices === undefined || absent ? {} : { devices: assignment.devices.flatMap(addressesOf) }),
    rebootGeneration: spec.rebootGeneration ?? 0,
    sshKeys: absent ? [] : [...(spec.sshKeys ?? [])],
    ...(spec.userData === undefined || absent ? {} : { userData: spec.userData }),
    ...(spec.healthCheck === undefined || absent ? {} : { healthCheck: spec.healthCheck }),
    ...(seconds === undefined || absent ? {} : { lease: { seconds } }),
  };
}

function nicsOf(fleet: FleetView, instance: InstanceResource): WantedInstance["nics"] {
  return instance.status.addresses.flatMap(({ network: name, address, mac }) => {
    const network = fleet.network(instance.metadata.project, name);
    if (network === undefined) return [];
    const { prefix, gateway } = rangeOf(network.spec.cidr);
    return [{ networkId: network.metadata.id, mac, address: `${address}/${prefix}`, gateway }];
  });
}

function networksOf(fleet: FleetView, node: NodeResource): WantedNetwork[] {
  const needed = new Map(fleet.networksOn(node.metadata.id).map((network) => [network.metadata.id, network]));
  const unneeded = (node.status.networks ?? []).flatMap((id) => {
    const network = needed.has(id) ? undefined : fleet.networkById(id);
    return network === undefined ? [] : [network];
  });
  const present = [...needed.values()].map((network) => wantedNetwork(fleet, network, node.metadata.id, "present"));
  const absent = unneeded.map((network) => wantedNetwork(fleet, network, node.metadata.id, "absent"));
  return [...present, ...absent]
    .filter((network) => network !== undefined)
    .sort((one, other) => (one.id < other.id ? -1 : 1));
}

function wantedNetwork(
  fleet: FleetView,
  network: NetworkResource,
  nodeId: string,
  presence: "present" | "absent",
): WantedNetwork | undefined {
  const { vni } = network.status;
  if (vni === undefined) return undefined;
  const { cidr, egress = false } = network.spec;
  const peers = presence === "absent" ? [] : fleet.nodesOn(network).filter((id) => id !== nodeId);
  return { id: network.metadata.id, presence, vni, cidr, gateway: rangeOf(cidr).gateway, egress, peers };
}

/** Nodes that share a network with this one or exchange a volume with it. */
function peersOf(fleet: FleetView, nodeId: string, networks: readonly WantedNetwork[]): WantedPeer[] {
  const ids = new Set(networks.flatMap((network) => network.peers));
  for (const { assignment } of fleet.exchangedOn(nodeId)) {
    if (assignment?.offeredTo === undefined) continue;
    if (assignment.nodeId === nodeId) ids.add(assignment.offeredTo.nodeId);
    else if (assignment.offeredTo.nodeId === nodeId) ids.add(assignment.nodeId);
  }
  return [...ids].sort().flatMap((id) => {
    const peer = fleet.node(id);
    const { publicKey, overlayIndex, facts } = peer?.status ?? {};
    if (publicKey === undefined || overlayIndex === undefined) return [];
    return [{ nodeId: id, publicKey, ...reachOf(facts), overlayAddress: overlayAddress(overlayIndex) }];
  });
}

/** What a node says of how others reach it, as far as they could use it: they refuse a wish whole that has more. */
function reachOf({ dataEndpoint, overlayEndpoint, overlayPublicKey }: Partial<NodeFacts> = {}): Pick<
  WantedPeer,
  "dataEndpoint" | "overlayEndpoint" | "overlayPublicKey"
> {
  const isEndpoint = (text: string | undefined): text is string =>
    text !== undefined && parseEndpoint(text) !== undefined;
  return {
    ...(isEndpoint(dataEndpoint) ? { dataEndpoint } : {}),
    ...(isEndpoint(overlayEndpoint) ? { overlayEndpoint } : {}),
    ...(overlayPublicKey !== undefined && isOverlayPublicKey(overlayPublicKey) ? { overlayPublicKey } : {}),
  };
}
