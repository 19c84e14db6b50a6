import type { WantedNetwork } from "@skerry/protocol";
import type { NetworkDefinition, OverlayDefinition } from "../drivers/network.ts";
import { networkKey } from "./action.ts";
import type { ObjectPlan } from "./plan.ts";
import { isRunning } from "./situation.ts";
import type { Situation } from "./situation.ts";

/** The next steps of the overlay and of each network. The overlay comes first, but its failure stops no network. */
export function planNetworks(situation: Situation): [string, ObjectPlan][] {
  const { wanted, memory } = situation;
  const plans: [string, ObjectPlan][] = [];
  if (wanted.networks.some((network) => network.presence === "present")) {
    const overlay = overlayOf(situation);
    const wish = JSON.stringify(overlay);
    const action = { kind: "ensure-overlay", overlay, wish } as const;
    plans.push([
      "overlay",
      wish === memory.appliedOverlay ? {} : { next: { object: "overlay", alsoHolds: [], action } },
    ]);
  }
  for (const network of wanted.networks) plans.push([networkKey(network.id), planNetwork(network, situation)]);
  return plans;
}

function planNetwork(wanted: WantedNetwork, situation: Situation): ObjectPlan {
  const { seen, memory } = situation;
  const { id } = wanted;
  const object = networkKey(id);
  if (seen.networks === undefined) return { obstacle: "the node's networks cannot be listed" };
  if (wanted.presence === "absent") {
    if (!seen.networks.has(id)) return {};
    const user = guestOn(id, situation);
    if (user !== undefined) return { obstacle: `guest ${user} is plugged into it` };
    return { next: { object, alsoHolds: [], action: { kind: "remove-network", id } } };
  }
  const network = definitionOf(wanted, situation);
  const wish = JSON.stringify(network);
  if (seen.networks.has(id) && memory.appliedNetworks.get(id) === wish) return {};
  return { next: { object, alsoHolds: ["overlay"], action: { kind: "ensure-network", network, wish } } };
}

function guestOn(networkId: string, situation: Situation): string | undefined {
  const { seen, journal } = situation;
  if (seen.guests === undefined) return "unknown";
  return [...seen.guests.values()].find(
    (guest) => isRunning(guest) && journal.instance(guest.id).networks.includes(networkId),
  )?.id;
}

function overlayOf(situation: Situation): OverlayDefinition {
  const { wanted, settings } = situation;
  const peers = wanted.peers.flatMap(({ nodeId, overlayPublicKey, overlayEndpoint, overlayAddress }) => {
    if (overlayPublicKey === undefined) return [];
    const endpoint = overlayEndpoint === undefined ? {} : { endpoint: overlayEndpoint };
    return [{ nodeId, publicKey: overlayPublicKey, ...endpoint, address: overlayAddress }];
  });
  const { overlayAddress, overlayPrefixLength } = wanted.node;
  return { address: overlayAddress, prefixLength: overlayPrefixLength, listenPort: settings.overlayListenPort, peers };
}

function definitionOf(wanted: WantedNetwork, situation: Situation): NetworkDefinition {
  const { id, vni, cidr, gateway, egress } = wanted;
  const remotes = situation.wanted.peers
    .filter((peer) => wanted.peers.includes(peer.nodeId))
    .map((peer) => peer.overlayAddress);
  return { id, vni, cidr, gateway, egress, remotes };
}
