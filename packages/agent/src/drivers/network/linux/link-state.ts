import { Type } from "typebox";
import { parserOf } from "@skerry/model";
import type { RunProgram } from "./run.ts";
import type { NetworkDevices } from "./naming.ts";

/* What `ip -j` and `bridge -j` say, reduced to what plans compare. Unknown fields are others' business. */

const Link = Type.Object({
  ifname: Type.String(),
  flags: Type.Array(Type.String()),
  mtu: Type.Integer(),
  address: Type.Optional(Type.String()),
  ifalias: Type.Optional(Type.String()),
  master: Type.Optional(Type.String()),
  inet6_addr_gen_mode: Type.Optional(Type.String()),
  linkinfo: Type.Optional(
    Type.Object({
      info_kind: Type.Optional(Type.String()),
      info_data: Type.Optional(
        Type.Object({
          id: Type.Optional(Type.Union([Type.Integer(), Type.String()])),
          local: Type.Optional(Type.String()),
          port: Type.Optional(Type.Integer()),
          mcast_snooping: Type.Optional(Type.Integer()),
        }),
      ),
    }),
  ),
  addr_info: Type.Optional(
    Type.Array(
      Type.Object({
        family: Type.Optional(Type.String()),
        local: Type.Optional(Type.String()),
        prefixlen: Type.Optional(Type.Integer()),
      }),
    ),
  ),
});
const parseLinks = parserOf(Type.Array(Link), "ip's list of links", "node-driver-failed");
const parseForwarding = parserOf(
  Type.Array(
    Type.Object({ mac: Type.String(), dst: Type.Optional(Type.String()), state: Type.Optional(Type.String()) }),
  ),
  "bridge's forwarding table",
  "node-driver-failed",
);

export interface Link {
  readonly name: string;
  readonly up: boolean;
  readonly mtu: number;
  readonly mac: string | undefined;
  readonly alias: string | undefined;
  readonly master: string | undefined;
  /** `none` where the device makes itself no IPv6 address. */
  readonly ipv6Addresses: string | undefined;
  readonly kind: string | undefined;
  readonly vxlan: { readonly vni: number; readonly local: string | undefined; readonly port: number } | undefined;
  readonly snooping: boolean;
  /** IPv4 addresses with prefix length. */
  readonly addresses: readonly string[];
}

/** Every network device of this node, with its IPv4 addresses. */
export async function readLinks(run: RunProgram, signal: AbortSignal): Promise<readonly Link[]> {
  const { stdout } = await run(["ip", "-d", "-j", "addr", "show"], signal);
  return parseLinks(JSON.parse(stdout)).map((link) => {
    const data = link.linkinfo?.info_data;
    const kind = link.linkinfo?.info_kind;
    return {
      name: link.ifname,
      up: link.flags.includes("UP"),
      mtu: link.mtu,
      mac: link.address,
      alias: link.ifalias,
      master: link.master,
      ipv6Addresses: link.inet6_addr_gen_mode,
      kind,
      vxlan: kind === "vxlan" ? { vni: Number(data?.id), local: data?.local, port: data?.port ?? 0 } : undefined,
      snooping: data?.mcast_snooping !== 0,
      addresses: (link.addr_info ?? []).flatMap(({ family, local, prefixlen }) =>
        family === "inet" && local !== undefined && prefixlen !== undefined ? [`${local}/${prefixlen}`] : [],
      ),
    };
  });
}

/** Where a VXLAN device sends: to which nodes what is for all or for unknown guests, and where it learned that guests are. */
export interface Forwarding {
  readonly flood: readonly string[];
  readonly learned: readonly { readonly mac: string; readonly remote: string }[];
}

export async function readForwarding(
  run: RunProgram,
  devices: NetworkDevices,
  signal: AbortSignal,
): Promise<Forwarding> {
  const { stdout } = await run(["bridge", "-j", "fdb", "show", "dev", devices.vxlan], signal);
  const flood: string[] = [];
  const learned: { mac: string; remote: string }[] = [];
  for (const { mac, dst } of parseForwarding(JSON.parse(stdout))) {
    if (dst === undefined) continue;
    if (mac === "00:00:00:00:00:00") flood.push(dst);
    else learned.push({ mac, remote: dst });
  }
  return { flood, learned };
}
