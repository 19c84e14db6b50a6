import { Type } from "typebox";
import { parserOf } from "@skerry/model";
import {
  bridgePrefix,
  gatewayMac,
  networkDevices,
  networkMtu,
  overlayDevice,
  vxlanPort,
  vxlanPrefix,
} from "./naming.ts";
import type { NetworkWish } from "./wish.ts";

/** IPv4 and TCP headers without options. */
const headerBytes = 40;

/**
 * The rules, the same for every node and network; what differs is in sets. Loading them is one transaction and may be
 * repeated; it leaves the sets' elements alone. In words:
 *
 * - Guests reach nothing of their node but an ICMP echo; the node reaches its guests, and only its own.
 * - Nothing is forwarded between networks. Out of a network with egress, guests reach everything but link-local addresses
 *   (a cloud's metadata), under the node's address; nothing gets in.
 * - VXLAN is taken only out of the overlay, of a network only from nodes that carry it, and never leaves by another way.
 * - Each node is the gateway for its own guests: what concerns the gateway does not cross to other nodes.
 */
export const ruleset = `
table inet skerry {
  set same { type ifname . ifname; }
  set egress { type ifname; }
  set carriers { typeof ip saddr . @th,96,32; }
  chain input { type filter hook input priority filter; policy accept; }
  chain forward { type filter hook forward priority filter; policy accept; }
  chain output { type filter hook output priority filter; policy accept; }
  chain postrouting { type nat hook postrouting priority srcnat; policy accept; }
}
table bridge skerry {
  set gateway_macs { type ether_addr; }
  set gateways { type ifname . ipv4_addr; }
  chain input { type filter hook input priority filter; policy accept; }
  chain forward { type filter hook forward priority filter; policy accept; }
  chain output { type filter hook output priority filter; policy accept; }
}
flush chain inet skerry input
flush chain inet skerry forward
flush chain inet skerry output
flush chain inet skerry postrouting
flush chain bridge skerry input
flush chain bridge skerry forward
flush chain bridge skerry output
table inet skerry {
  chain input {
    iifname "${bridgePrefix}*" fib saddr . iif oif missing drop
    iifname "${bridgePrefix}*" ct state established,related accept
    iifname "${bridgePrefix}*" icmp type echo-request accept
    iifname "${bridgePrefix}*" drop
    iifname "${overlayDevice}" udp dport ${vxlanPort} ip saddr . @th,96,32 @carriers accept
    udp dport ${vxlanPort} drop
    iifname "${overlayDevice}" ct state established,related accept
    iifname "${overlayDevice}" icmp type echo-request accept
    iifname "${overlayDevice}" drop
  }
  chain forward {
    iifname . oifname @same accept
    iifname "${bridgePrefix}*" oifname "${bridgePrefix}*" drop
    iifname "${overlayDevice}" drop
    oifname "${overlayDevice}" drop
    iifname "${bridgePrefix}*" iifname != @egress drop
    iifname "${bridgePrefix}*" fib saddr . iif oif missing drop
    iifname "${bridgePrefix}*" meta nfproto != ipv4 drop
    iifname "${bridgePrefix}*" ip daddr 169.254.0.0/16 drop
    iifname "${bridgePrefix}*" tcp flags & (syn | rst) == syn tcp option maxseg size > ${networkMtu - headerBytes} tcp option maxseg size set ${networkMtu - headerBytes}
    oifname "${bridgePrefix}*" ct state established,related accept
    oifname "${bridgePrefix}*" drop
  }
  chain output {
    udp dport ${vxlanPort} oifname != "${overlayDevice}" drop
  }
  chain postrouting {
    iifname @egress oifname != "${bridgePrefix}*" masquerade
  }
}
table bridge skerry {
  chain input {
    iifname "${vxlanPrefix}*" drop
  }
  chain forward {
    ether saddr @gateway_macs drop
    iifname . arp saddr ip @gateways drop
    oifname . arp saddr ip @gateways drop
    oifname . arp daddr ip @gateways drop
  }
  chain output {
    oifname "${vxlanPrefix}*" drop
  }
}
`;

/** One element of a set: `family set element`, the element as nft reads it. */
export interface SetElement {
  readonly family: "inet" | "bridge";
  readonly set: string;
  readonly element: string;
}

/** What the sets must hold for a network, all of it and nothing else. */
export function elementsOf(wish: NetworkWish): readonly SetElement[] {
  const { bridge, vxlan } = networkDevices(wish.id);
  return [
    { family: "inet", set: "same", element: `${bridge} . ${bridge}` },
    ...(wish.egress ? [{ family: "inet", set: "egress", element: bridge } as const] : []),
    ...wish.remotes.map(
      (remote) => ({ family: "inet", set: "carriers", element: `${remote} . ${vniField(wish.vni)}` }) as const,
    ),
    { family: "bridge", set: "gateway_macs", element: gatewayMac(wish.vni) },
    { family: "bridge", set: "gateways", element: `${vxlan} . ${wish.gateway}` },
  ];
}

/** The elements that speak of a network, whether they are still wished or not. */
export function elementsAbout(
  elements: readonly SetElement[],
  networkId: string,
  vni: number | undefined,
): readonly SetElement[] {
  const { bridge, vxlan } = networkDevices(networkId);
  return elements.filter(({ element }) => {
    const words = element.split(" . ");
    if (words.includes(bridge) || words.includes(vxlan)) return true;
    return vni !== undefined && (words[1] === String(vniField(vni)) || element === gatewayMac(vni));
  });
}

/** The VNI as it stands in the header: 24 bits and a reserved byte. */
function vniField(vni: number): number {
  return vni * 256;
}

/** Lines for `nft -f` that turn the seen elements into the wished ones; empty where they are the same. */
export function planElements(seen: readonly SetElement[], wished: readonly SetElement[]): readonly string[] {
  const has = (list: readonly SetElement[], one: SetElement): boolean =>
    list.some((each) => each.family === one.family && each.set === one.set && each.element === one.element);
  return [
    ...seen.filter((each) => !has(wished, each)).map((each) => line("delete", each)),
    ...wished.filter((each) => !has(seen, each)).map((each) => line("add", each)),
  ];
}

function line(verb: "add" | "delete", { family, set, element }: SetElement): string {
  return `${verb} element ${family} skerry ${set} { ${element} }`;
}

const parseTable = parserOf(
  Type.Object({
    nftables: Type.Array(
      Type.Object({
        set: Type.Optional(
          Type.Object({
            name: Type.String(),
            elem: Type.Optional(
              Type.Array(
                Type.Union([
                  Type.String(),
                  Type.Object({ concat: Type.Array(Type.Union([Type.String(), Type.Integer()])) }),
                ]),
              ),
            ),
          }),
        ),
        rule: Type.Optional(Type.Unknown()),
        chain: Type.Optional(Type.Unknown()),
      }),
    ),
  }),
  "nft's list of a table",
  "node-driver-failed",
);

/** A table as it is: its rules in a form to compare, and its sets' elements. */
export interface TableState {
  readonly rules: string;
  readonly elements: readonly SetElement[];
}

/** @param json what `nft -j list table` said */
export function readTable(family: SetElement["family"], json: string): TableState {
  const { nftables } = parseTable(JSON.parse(json));
  const elements = nftables.flatMap(({ set }) =>
    (set?.elem ?? []).map((each) => ({
      family,
      set: set?.name ?? "",
      element: typeof each === "string" ? each : each.concat.join(" . "),
    })),
  );
  const rules = nftables.flatMap<unknown>(({ rule, chain }) => [rule, chain].filter((each) => each !== undefined));
  return { rules: JSON.stringify(rules), elements };
}
