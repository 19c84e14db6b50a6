import type { ImageResource, InstanceResource, NetworkResource, NodeResource, VolumeResource } from "@skerry/model";

/** The objects that wanted states are made of, found by the node that they concern. */
export interface FleetView {
  /** Of the log, at which all of this is read. */
  readonly revision: number;
  node(id: string): NodeResource | undefined;
  /** Instances that are, were or will be on the node, in order of their ids. */
  instancesOn(nodeId: string): readonly InstanceResource[];
  /** Their ids, which costs no reading of them. */
  instanceIdsOn(nodeId: string): readonly string[];
  /** Volumes that the node owns or has a copy of, in order of their ids. */
  volumesOn(nodeId: string): readonly VolumeResource[];
  volumeIdsOn(nodeId: string): readonly string[];
  /** One of those; undefined where it is none of them. */
  instanceOn(nodeId: string, id: string): InstanceResource | undefined;
  volumeOn(nodeId: string, id: string): VolumeResource | undefined;
  /** Of those volumes, what it offers to another node or is offered by one. */
  exchangedOn(nodeId: string): readonly VolumeResource[];
  rootVolume(instance: InstanceResource): VolumeResource | undefined;
  network(project: string | undefined, name: string): NetworkResource | undefined;
  networkById(id: string): NetworkResource | undefined;
  /** Networks of the instances that are or will be on a node. */
  networksOn(nodeId: string): readonly NetworkResource[];
  /** Nodes of the instances on a network, in order of their ids. */
  nodesOn(network: NetworkResource): readonly string[];
  image(project: string | undefined, reference: string): ImageResource | undefined;
}

/** Nodes that an object is assigned to or on its way to, and those that only must lose it. */
export interface Footprint {
  readonly nodes: readonly string[];
  /** Networks that those nodes carry for it, as project/name. */
  readonly networks: readonly string[];
  /** Where its networks are needed. */
  readonly networkNodes: readonly string[];
}

export function instanceFootprint(instance: InstanceResource): Footprint {
  const { assignment, metadata, spec } = instance;
  if (assignment === undefined) return { nodes: [], networks: [], networkNodes: [] };
  const here = assignment.removal?.done === true ? [] : [assignment.nodeId];
  const carriers = [...here, ...(assignment.movingTo === undefined ? [] : [assignment.movingTo.nodeId])];
  const former = (assignment.former ?? []).map((place) => place.nodeId);
  return {
    nodes: unique([...carriers, ...former]),
    networks: (spec.networks ?? []).map((name) => networkKey(metadata.project, name)),
    networkNodes: unique(carriers),
  };
}

export function volumeFootprint(volume: VolumeResource): Footprint {
  const { assignment } = volume;
  if (assignment === undefined) return { nodes: [], networks: [], networkNodes: [] };
  const here = assignment.removal?.done === true ? [] : [assignment.nodeId];
  return {
    // Whoever is offered it must be known to its owner before there is a copy of it.
    nodes: unique([
      ...here,
      ...(assignment.copies ?? []).map((copy) => copy.nodeId),
      ...(assignment.offeredTo === undefined ? [] : [assignment.offeredTo.nodeId]),
    ]),
    networks: [],
    networkNodes: [],
  };
}

export function networkKey(project: string | undefined, name: string): string {
  return `${project ?? ""}/${name}`;
}

function unique(ids: readonly string[]): readonly string[] {
  return ids.length <= 1 ? ids : [...new Set(ids)];
}
