import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import type { NetworkDefinition, NetworkDriver, OverlayDefinition } from "../../src/drivers/network.ts";
import { openLinuxNetworks } from "../../src/drivers/network/linux/linux-networks.ts";
import { vxlanPort } from "../../src/drivers/network/linux/naming.ts";
import { runProgram } from "../../src/drivers/run-program.ts";
import { newId } from "../contract/ids.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { makeMachine, type Machine } from "./machine.ts";

const never = new AbortController().signal;

/** What the driver and these tests run, as Debian packages. */
export const networkPackages = ["iproute2", "iputils-ping", "nftables", "procps", "wireguard-go", "wireguard-tools"];

/** This test's own namespace plays the WAN: a bridge with this address, to which every node has a cable. */
export const wanAddress = "192.0.2.254";

/** A node on the WAN, with the driver under test. */
export interface LabNode extends Machine {
  readonly index: number;
  readonly wan: string;
  readonly overlay: string;
  readonly folder: string;
  readonly driver: NetworkDriver;
  readonly reopen: () => NetworkDriver;
}

/** A guest's stand-in: a namespace with one interface on a node's bridge. */
export interface LabGuest extends Machine {
  readonly address: string;
  /** Packets that came to it. */
  readonly received: () => Promise<number>;
}

async function outside(command: string): Promise<string> {
  return (await runProgram(command.split(" ") as [string, ...string[]], never)).stdout;
}

/** Makes the WAN and `count` nodes on it, their overlays joined. */
export async function makeLab(count: number): Promise<{ readonly nodes: readonly LabNode[] } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  await outside("ip link add wan type bridge stp_state 0 forward_delay 0");
  stack.defer(async () => void (await outside("ip link delete dev wan")));
  await outside(`ip addr add ${wanAddress}/24 dev wan`);
  await outside("ip link set dev wan up");
  const nodes: LabNode[] = [];
  for (let index = 1; index <= count; index++) nodes.push(await makeNode(stack, index));
  for (const node of nodes) await node.driver.ensureOverlay(await overlayOf(node, nodes), never);
  const kept = stack.move();
  return { nodes, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function makeNode(stack: AsyncDisposableStack, index: number): Promise<LabNode> {
  const machine = stack.use(await makeMachine());
  const folder = stack.use(await temporaryFolder()).path;
  const wan = `192.0.2.${index}`;
  await outside(`ip link add wan${index} master wan type veth peer name uplink netns ${machine.pid}`);
  // A namespace goes some time after its last process; the next lab's cable has the same name.
  stack.defer(async () => void (await outside(`ip link delete dev wan${index}`)));
  await outside(`ip link set dev wan${index} up`);
  await machine.do(`ip addr add ${wan}/24 dev uplink`);
  await machine.do("ip link set dev uplink up");
  await machine.do(`ip route add default via ${wanAddress}`);
  const reopen = (): NetworkDriver => openLinuxNetworks({ folder, run: machine.run });
  return { ...machine, index, wan, overlay: `100.64.0.${index}`, folder, driver: reopen(), reopen };
}

/** A node's overlay with all others as its peers. */
export async function overlayOf(node: LabNode, nodes: readonly LabNode[]): Promise<OverlayDefinition> {
  const others = nodes.filter((each) => each !== node);
  const peers = others.map(async (peer) => ({
    nodeId: newId("nod"),
    publicKey: await peer.driver.publicKey(never),
    endpoint: `${peer.wan}:51820`,
    address: peer.overlay,
  }));
  return { address: node.overlay, prefixLength: 10, listenPort: 51_820, peers: await Promise.all(peers) };
}

/** A network with a fresh id. */
export function newNetwork(change: Partial<NetworkDefinition> = {}): NetworkDefinition {
  return {
    id: newId("net"),
    vni: 4711,
    cidr: "10.213.7.0/24",
    gateway: "10.213.7.1",
    egress: false,
    remotes: [],
    ...change,
  };
}

/** The same network on each of the nodes, each with the others as its remotes. */
export async function carry(nodes: readonly LabNode[], network: NetworkDefinition): Promise<void> {
  for (const node of nodes) {
    const remotes = nodes.filter((other) => other !== node).map((other) => other.overlay);
    await node.driver.ensureNetwork({ ...network, remotes }, never);
  }
}

/** Plugs a guest into a bridge of a node, as libvirt would: an interface with the network's MTU. */
export async function plugGuest(
  node: LabNode,
  bridge: string,
  options: { readonly address: string; readonly gateway: string; readonly mac?: string; readonly mtu?: number },
): Promise<LabGuest> {
  const machine = await makeMachine();
  const mtu = options.mtu ?? 1370;
  const tap = `tap${machine.pid}`;
  await node.do(
    `ip link add ${tap} mtu ${mtu} master ${bridge} type veth peer name eth0 mtu ${mtu} netns ${machine.pid}`,
  );
  await node.do(`ip link set dev ${tap} up`);
  if (options.mac !== undefined) await machine.do(`ip link set dev eth0 address ${options.mac}`);
  await machine.do(`ip addr add ${options.address}/24 dev eth0`);
  await machine.do("ip link set dev eth0 up");
  await machine.do(`ip route add default via ${options.gateway}`);
  return {
    ...machine,
    address: options.address,
    async received() {
      const [link] = JSON.parse(await machine.do("ip -s -j link show dev eth0")) as {
        stats64: { rx: { packets: number } };
      }[];
      return link?.stats64.rx.packets ?? 0;
    },
    async [Symbol.asyncDispose]() {
      await node.do(`ip link delete dev ${tap}`).catch(() => undefined); // It went with its node.
      await machine[Symbol.asyncDispose]();
    },
  };
}

/** Someone out on the WAN: serves TCP there, also at the address of a cloud's metadata, and notes who came. */
export interface OutsideService extends AsyncDisposable {
  readonly port: number;
  readonly clients: ReadonlySet<string>;
  readonly route: (route: string) => Promise<string>;
  readonly connects: (address: string, port: number) => Promise<boolean>;
}

export async function makeOutsideService(): Promise<OutsideService> {
  const clients = new Set<string>();
  await outside("ip addr add 169.254.169.254/32 dev wan");
  const server = createServer((socket) => {
    clients.add(socket.remoteAddress ?? "");
    socket.end();
  });
  server.listen(0, "0.0.0.0");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    clients,
    route: (route) => outside(`ip route add ${route}`),
    connects: async (address, port) => {
      const socket = connect({ host: address, port, signal: AbortSignal.timeout(1000) });
      try {
        await once(socket, "connect");
        return true;
      } catch {
        return false; // Refused, or nothing came back in time: both are what is asked about.
      } finally {
        socket.destroy();
      }
    },
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, "close");
    },
  };
}

/** Sends a node, over the WAN and in clear, a VXLAN packet with a frame for a guest. */
export async function injectFrame(node: LabNode, vni: number, guestMac: string): Promise<void> {
  const header = Buffer.alloc(8);
  header.writeUInt8(8, 0);
  header.writeUIntBE(vni, 4, 3);
  const frame = Buffer.concat([
    Buffer.from(`${guestMac.replaceAll(":", "")}02000000000188b5`, "hex"),
    Buffer.alloc(46),
  ]);
  const socket = createSocket("udp4");
  await new Promise<void>((resolve, reject) => {
    socket.send(Buffer.concat([header, frame]), vxlanPort, node.wan, (error) =>
      error === null ? resolve() : reject(error),
    );
  });
  socket.close();
}

/** Listens for TCP in a machine until the scope ends. */
export async function listen(machine: { readonly pid: number }, port: number): Promise<Disposable> {
  const script = `require("net").createServer((s) => s.end()).listen(${port}, "0.0.0.0", () => console.log("listening"))`;
  const child = spawn("nsenter", ["--target", String(machine.pid), "--net", "--", process.execPath, "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  return { [Symbol.dispose]: () => void child.kill("SIGKILL") };
}

/** Everything that a node's kernel holds of the driver's work, as its tools print it, without what changes by itself. */
export async function snapshot(node: LabNode): Promise<string> {
  const commands = [
    "ip -d -j addr show",
    "ip -j route show",
    "nft -s list ruleset",
    "wg show skwg0 allowed-ips",
    "wg show skwg0 endpoints",
    "sysctl net.ipv4.ip_forward",
  ];
  const texts = await Promise.all(commands.map((command) => node.do(command)));
  const fdb = (await node.do("bridge fdb show")).split("\n").sort().join("\n");
  return [...texts, fdb]
    .join("\n")
    .replace(/"(hello|tcn|topology_change|gc|message_age|forward_delay|hold)_timer":[0-9.]+/g, "");
}
