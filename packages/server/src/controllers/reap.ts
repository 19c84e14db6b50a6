import type { InstanceResource, NetworkResource, VolumeResource } from "@skerry/model";
import type { Transaction, View } from "@skerry/store";
import { holdersOf } from "./addressing/address-book.ts";

/* What was deleted goes from the store once every node that had it was seen without it; whoever sees the last one calls here. */

/** The volume that an instance boots from and that goes with it. */
export function rootVolumeOf(view: View, instance: InstanceResource): VolumeResource | undefined {
  const { project, name } = instance.metadata;
  const volume = view.get("Volume", { project, name });
  return volume?.spec.instance === name ? volume : undefined;
}

/** The instance that a volume belongs to and goes with; undefined where it has lost it. */
export function ownerOf(view: View, volume: VolumeResource): InstanceResource | undefined {
  const { instance } = volume.spec;
  if (instance === undefined) return undefined;
  const owner = view.get("Instance", { project: volume.metadata.project, name: instance });
  return owner !== undefined && rootVolumeOf(view, owner)?.metadata.id === volume.metadata.id ? owner : undefined;
}

function isGone(object: InstanceResource | VolumeResource): boolean {
  const { assignment, metadata } = object;
  if (metadata.deletedAt === undefined) return false;
  return assignment === undefined || assignment.removal?.done === true;
}

/** Deletes the instance and its volume where nothing of them is left on any node, which frees its addresses. Returns whether it did. */
export function reapInstance(tx: Transaction, instance: InstanceResource): boolean {
  const volume = rootVolumeOf(tx, instance);
  const volumeGone = volume === undefined || (isGone(volume) && (volume.assignment?.copies ?? []).length === 0);
  if (!volumeGone || !isGone(instance) || (instance.assignment?.former ?? []).length > 0) return false;
  if (volume !== undefined) tx.delete("Volume", volume.metadata.id);
  tx.delete("Instance", instance.metadata.id);
  for (const name of instance.spec.networks ?? []) {
    const network = tx.get("Network", { project: instance.metadata.project, name });
    if (network !== undefined) reapNetwork(tx, network);
  }
  return true;
}

/** Deletes a volume that was asked to go and has no instance, once nothing of it is left on any node that there is. */
export function reapVolume(tx: Transaction, volume: VolumeResource): void {
  const { metadata, assignment } = volume;
  if (metadata.deletedAt === undefined || ownerOf(tx, volume) !== undefined) return;
  const isHere = (nodeId: string) => tx.getById("Node", nodeId) !== undefined;
  const left = !isGone(volume) && assignment !== undefined && isHere(assignment.nodeId);
  if (left || assignment?.copies?.some(({ nodeId }) => isHere(nodeId)) === true) return;
  tx.delete("Volume", metadata.id);
}

/** Deletes a network that was asked to go, once no node carries it. */
export function reapNetwork(tx: Transaction, network: NetworkResource): void {
  const { metadata } = network;
  if (metadata.deletedAt === undefined || holdersOf(tx, network).length > 0) return;
  const carried = tx.list("Node").some((node) => node.status.networks?.includes(metadata.id) === true);
  if (!carried) tx.delete("Network", metadata.id);
}
