import { createHash } from "node:crypto";

/** Names, sizes and numbers that all nodes of a control plane share, or that an operator meets in `ip link`. */

/** The encrypted overlay's device; one per node. */
export const overlayDevice = "skwg0";

/** A WAN's 1500 less WireGuard's headers over IPv6, the larger ones. */
export const overlayMtu = 1420;

/** What VXLAN over IPv4 adds: 20 IPv4, 8 UDP, 8 VXLAN, 14 Ethernet. */
const vxlanHeaderBytes = 50;
export const networkMtu = overlayMtu - vxlanHeaderBytes;

/** Not VXLAN's usual 4789: another VXLAN system on the host must neither be disturbed nor be able to speak into ours. */
export const vxlanPort = 4797;

/** Prefixes by which the firewall knows our devices. */
export const bridgePrefix = "skb";
export const vxlanPrefix = "skx";

/** Mark on a bridge by which it is known as ours and of which network; shown by `ip link`. */
export const bridgeAliasPrefix = "skerry:";

export interface NetworkDevices {
  readonly bridge: string;
  readonly vxlan: string;
}

/** Device names from the network's id: the same on every node, within Linux's 15 characters, with nothing a tenant wrote. */
export function networkDevices(networkId: string): NetworkDevices {
  const hash = createHash("sha256").update(networkId).digest("hex").slice(0, 8);
  return { bridge: bridgePrefix + hash, vxlan: vxlanPrefix + hash };
}

/** The gateway's MAC address, the same on every node of a network, so that a moved guest's neighbour table stays right. */
export function gatewayMac(vni: number): string {
  const hex = vni.toString(16).padStart(6, "0");
  return `02:53:6b:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4, 6)}`;
}
