import { isIPv4 } from "node:net";
import { SkerryError } from "@skerry/model";
import { isOverlayPublicKey, parseEndpoint } from "@skerry/protocol";
import type { NetworkDefinition, OverlayDefinition } from "../../network.ts";
import { checkedId } from "../../server-made-id.ts";

/*
 * The choke point before anything of a wish becomes an argument: only what fits these patterns goes on.
 */

/** A network as the commands need it. */
export interface NetworkWish {
  readonly id: string;
  readonly vni: number;
  readonly gateway: string;
  readonly prefixLength: number;
  readonly egress: boolean;
  readonly remotes: readonly string[];
}

/** @throws SkerryError invalid-request */
export function checkedNetwork(network: NetworkDefinition): NetworkWish {
  const [base = "", prefix = ""] = network.cidr.split("/");
  const prefixLength = Number(prefix);
  if (!isIPv4(base) || !/^[0-9]{1,2}$/.test(prefix) || prefixLength < 8 || prefixLength > 30)
    throw refused("a network's addresses", network.cidr);
  if (!isIPv4(network.gateway) || !inSameNetwork(network.gateway, base, prefixLength))
    throw refused(`a gateway in ${network.cidr}`, network.gateway);
  if (!Number.isInteger(network.vni) || network.vni < 1 || network.vni > 0xff_ff_ff)
    throw refused("a VXLAN network identifier", String(network.vni));
  for (const remote of network.remotes) if (!isIPv4(remote)) throw refused("a node's overlay address", remote);
  return {
    id: checkedId("net", network.id),
    vni: network.vni,
    gateway: network.gateway,
    prefixLength,
    egress: network.egress,
    remotes: [...new Set(network.remotes)].sort(),
  };
}

/** @throws SkerryError invalid-request */
export function checkedOverlay(overlay: OverlayDefinition): OverlayDefinition {
  if (!isIPv4(overlay.address)) throw refused("an overlay address", overlay.address);
  if (!Number.isInteger(overlay.prefixLength) || overlay.prefixLength < 8 || overlay.prefixLength > 32) {
    throw refused("an overlay prefix length", String(overlay.prefixLength));
  }
  if (!isPort(overlay.listenPort)) throw refused("a port", String(overlay.listenPort));
  for (const peer of overlay.peers) {
    if (!isOverlayPublicKey(peer.publicKey)) throw refused("a WireGuard public key", peer.publicKey);
    if (!isIPv4(peer.address)) throw refused("an overlay address", peer.address);
    if (peer.endpoint !== undefined && parseEndpoint(peer.endpoint) === undefined)
      throw refused("an endpoint, address:port,", peer.endpoint);
  }
  return overlay;
}

function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= 65_535;
}

function inSameNetwork(one: string, other: string, prefixLength: number): boolean {
  const shift = 32 - prefixLength;
  return numberOf(one) >>> shift === numberOf(other) >>> shift;
}

function numberOf(address: string): number {
  return address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

function refused(what: string, value: string): SkerryError {
  return new SkerryError("invalid-request", `${JSON.stringify(value.slice(0, 80))} is not ${what}.`);
}
