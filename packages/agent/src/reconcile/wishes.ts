import type { WantedState } from "@skerry/protocol";
import { instanceKey, networkKey, volumeKey } from "./action.ts";

/** The wish for each object as a text, so that it can be told which ones a new wanted state changes. */
export function wishesOf(wanted: WantedState | undefined): ReadonlyMap<string, string> {
  const wishes = new Map<string, string>();
  if (wanted === undefined) return wishes;
  const overlayPeers = wanted.peers.map(({ nodeId, overlayAddress, overlayEndpoint, overlayPublicKey }) => [
    nodeId,
    overlayAddress,
    overlayEndpoint,
    overlayPublicKey,
  ]);
  wishes.set("overlay", JSON.stringify([wanted.node, overlayPeers]));
  for (const network of wanted.networks) wishes.set(networkKey(network.id), JSON.stringify(network));
  for (const volume of wanted.volumes) wishes.set(volumeKey(volume.id), JSON.stringify(volume));
  for (const instance of wanted.instances) wishes.set(instanceKey(instance.id), JSON.stringify(instance));
  return wishes;
}
