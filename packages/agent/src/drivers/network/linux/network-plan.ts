import { SkerryError } from "@skerry/model";
import type { Forwarding, Link } from "./link-state.ts";
import { bridgeAliasPrefix, gatewayMac, networkDevices, networkMtu, vxlanPort } from "./naming.ts";
import type { NetworkWish } from "./wish.ts";

/**
 * How long a silent guest's place is remembered. Short, so that one that moved without a word is found again by flooding.
 */
const forgetSeconds = 30;

/** What has to be done, as lines for `ip -batch` and `bridge -batch`; empty where the node is as wished. */
export interface NetworkPlan {
  readonly ip: readonly string[];
  readonly bridge: readonly string[];
  /** Entries that may have aged out before they are removed; removing them is worth a try only. */
  readonly forget: readonly string[];
}

/**
 * What turns `links` and `forwarding` into the wish. The bridge, once made, is only ever changed, since guests hang on it;
 * the VXLAN device carries none and may be made anew.
 * @throws SkerryError conflict where a device of the same name is another's
 */
export function planNetwork(
  wish: NetworkWish,
  overlayAddress: string,
  links: readonly Link[],
  forwarding: Forwarding | undefined,
): NetworkPlan {
  const devices = networkDevices(wish.id);
  const bridge = links.find((link) => link.name === devices.bridge);
  const vxlan = links.find((link) => link.name === devices.vxlan);
  if (bridge !== undefined) refuseForeign(bridge, wish.id);
  const kept = vxlan?.vxlan?.vni === wish.vni && vxlan.vxlan.local === overlayAddress && vxlan.vxlan.port === vxlanPort;
  return {
    ip: [
      ...planBridge(wish, devices.bridge, bridge),
      ...(vxlan !== undefined && !kept ? [`link delete dev ${devices.vxlan}`] : []),
      ...planVxlan(wish, devices, overlayAddress, kept ? vxlan : undefined),
    ],
    ...planForwarding(wish.remotes, devices.vxlan, kept ? forwarding : undefined),
  };
}

function planBridge(wish: NetworkWish, name: string, seen: Link | undefined): readonly string[] {
  const mac = gatewayMac(wish.vni);
  const address = `${wish.gateway}/${wish.prefixLength}`;
  const lines: string[] = [];
  if (seen === undefined) {
    lines.push(
      `link add name ${name} address ${mac} mtu ${networkMtu} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
    );
  } else {
    if (seen.mac !== mac) lines.push(`link set dev ${name} address ${mac}`);
    if (seen.mtu !== networkMtu) lines.push(`link set dev ${name} mtu ${networkMtu}`);
    if (seen.snooping) lines.push(`link set dev ${name} type bridge mcast_snooping 0`);
  }
  if (seen?.alias !== bridgeAliasPrefix + wish.id)
    lines.push(`link set dev ${name} alias ${bridgeAliasPrefix}${wish.id}`);
  // The node needs no IPv6 of its own there; guests may use it among themselves.
  if (seen?.ipv6Addresses !== "none") lines.push(`link set dev ${name} addrgenmode none`);
  if (seen?.addresses.includes(address) !== true) lines.push(`addr add ${address} dev ${name}`);
  for (const old of seen?.addresses ?? []) if (old !== address) lines.push(`addr delete ${old} dev ${name}`);
  if (seen?.up !== true) lines.push(`link set dev ${name} up`);
  return lines;
}

function planVxlan(
  wish: NetworkWish,
  devices: { bridge: string; vxlan: string },
  local: string,
  seen: Link | undefined,
): readonly string[] {
  const name = devices.vxlan;
  const lines: string[] = [];
  if (seen === undefined)
    lines.push(
      `link add name ${name} mtu ${networkMtu} type vxlan id ${wish.vni} local ${local} dstport ${vxlanPort} ageing ${forgetSeconds}`,
    );
  else if (seen.mtu !== networkMtu) lines.push(`link set dev ${name} mtu ${networkMtu}`);
  if (seen?.ipv6Addresses !== "none") lines.push(`link set dev ${name} addrgenmode none`);
  if (seen?.master !== devices.bridge) lines.push(`link set dev ${name} master ${devices.bridge}`);
  if (seen?.up !== true) lines.push(`link set dev ${name} up`);
  return lines;
}

/**
 * Broadcasts and frames for unknown guests go to each remote; where a guest is, is learned. Whenever the remotes change, all
 * that was learned is forgotten: a guest that moved is then found at once, for the price of a few flooded frames.
 */
function planForwarding(
  remotes: readonly string[],
  vxlan: string,
  seen: Forwarding | undefined,
): Pick<NetworkPlan, "bridge" | "forget"> {
  const flood = seen?.flood ?? [];
  const added = remotes.filter((remote) => !flood.includes(remote));
  const removed = flood.filter((remote) => !remotes.includes(remote));
  const changed = added.length + removed.length > 0;
  const stale = (seen?.learned ?? []).filter(({ remote }) => changed || !remotes.includes(remote));
  return {
    bridge: [
      ...added.map((remote) => `fdb append 00:00:00:00:00:00 dev ${vxlan} dst ${remote} self permanent`),
      ...removed.map((remote) => `fdb delete 00:00:00:00:00:00 dev ${vxlan} dst ${remote} self`),
    ],
    forget: stale.map(({ mac, remote }) => `fdb delete ${mac} dev ${vxlan} dst ${remote} self`),
  };
}

/** @throws SkerryError conflict */
export function refuseForeign(bridge: Link, networkId: string): void {
  // Without an alias it is one that was cut off in its making.
  if (bridge.kind === "bridge" && (bridge.alias === undefined || bridge.alias === bridgeAliasPrefix + networkId))
    return;
  throw new SkerryError(
    "conflict",
    `The device ${bridge.name} is on the node already and is not of network ${networkId}.`,
    {
      remedy: `Remove it on the node (ip link delete dev ${bridge.name}) if nothing uses it.`,
    },
  );
}
