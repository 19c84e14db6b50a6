import { join } from "node:path";
import { SkerryError } from "@skerry/model";
import type { NetworkDriver, NetworkState, OverlayDefinition } from "../../network.ts";
import { runProgram } from "../../run-program.ts";
import { checkedId } from "../../server-made-id.ts";
import { elementsAbout, elementsOf } from "./firewall.ts";
import { FirewallTable } from "./firewall-table.ts";
import { readForwarding, readLinks, type Link } from "./link-state.ts";
import { bridgeAliasPrefix, networkDevices, overlayDevice, overlayMtu } from "./naming.ts";
import { planNetwork, refuseForeign } from "./network-plan.ts";
import { OverlayKey } from "./overlay-key.ts";
import { planPeers } from "./overlay-plan.ts";
import type { RunProgram } from "./run.ts";
import { ensureWireguard } from "./wireguard-device.ts";
import { checkedNetwork, checkedOverlay, type NetworkWish } from "./wish.ts";

export interface LinuxNetworkOptions {
  /** Folder for the overlay's private key; made where it is missing. */
  readonly folder: string;
  /** Tests give one that enters the namespace which stands for a node. */
  readonly run?: RunProgram;
}

/**
 * Networks from what Linux has: a bridge per network, VXLAN inside WireGuard between nodes, nftables around both. All that
 * it knows is in the kernel, where `ip`, `bridge`, `wg` and `nft` show it; so it takes up after a restart where it was.
 */
export function openLinuxNetworks(options: LinuxNetworkOptions): NetworkDriver {
  const run = options.run ?? runProgram;
  const key = new OverlayKey(join(options.folder, "overlay.key"));
  const firewall = new FirewallTable(run);
  const oneAtATime = queue();

  return {
    name: "linux",
    publicKey: () => key.publicKey(),
    ensureOverlay: (overlay, signal) =>
      oneAtATime(() => ensureOverlay(run, key, firewall, checkedOverlay(overlay), signal)),
    ensureNetwork: (network, signal) => oneAtATime(() => ensureNetwork(run, firewall, checkedNetwork(network), signal)),
    async list(signal) {
      return (await readLinks(run, signal)).flatMap(stateOf);
    },
    removeNetwork: (id, signal) => oneAtATime(() => removeNetwork(run, firewall, checkedId("net", id), signal)),
  };
}

async function ensureOverlay(
  run: RunProgram,
  key: OverlayKey,
  firewall: FirewallTable,
  overlay: OverlayDefinition,
  signal: AbortSignal,
): Promise<void> {
  const publicKey = await key.publicKey();
  // First the rules: the overlay must not be open to peers for a moment.
  await firewall.elements(signal);
  const seen = await ensureWireguard(run, signal);
  for (const args of planPeers(overlay, key.path, publicKey, seen, Date.now() / 1000))
    await run(["wg", "set", overlayDevice, ...args], signal);
  const device = (await readLinks(run, signal)).find((link) => link.name === overlayDevice);
  const address = `${overlay.address}/${overlay.prefixLength}`;
  const lines: string[] = [];
  if (device?.mtu !== overlayMtu) lines.push(`link set dev ${overlayDevice} mtu ${overlayMtu}`);
  if (device?.addresses.includes(address) !== true) lines.push(`addr add ${address} dev ${overlayDevice}`);
  for (const old of device?.addresses ?? []) if (old !== address) lines.push(`addr delete ${old} dev ${overlayDevice}`);
  if (device?.up !== true) lines.push(`link set dev ${overlayDevice} up`);
  await batch(run, ["ip"], lines, signal);
}

async function ensureNetwork(
  run: RunProgram,
  firewall: FirewallTable,
  wish: NetworkWish,
  signal: AbortSignal,
): Promise<NetworkState> {
  const devices = networkDevices(wish.id);
  const links = await readLinks(run, signal);
  const [overlayAddress] = links.find((link) => link.name === overlayDevice)?.addresses ?? [];
  if (overlayAddress === undefined) {
    throw new SkerryError("node-driver-failed", "The node's overlay is not up, so networks have nothing to run in.", {
      remedy: "It comes up with the node's next instruction; where it does not, the node's log says why.",
    });
  }
  const hasVxlan = links.some((link) => link.name === devices.vxlan);
  const forwarding = hasVxlan ? await readForwarding(run, devices, signal) : undefined;
  const plan = planNetwork(wish, overlayAddress.slice(0, overlayAddress.indexOf("/")), links, forwarding);

  // The rules stand before the first packet can pass.
  const elements = await firewall.elements(signal);
  await firewall.sync(elementsAbout(elements, wish.id, wish.vni), elementsOf(wish), signal);
  await batch(run, ["ip"], plan.ip, signal);
  await batch(run, ["bridge"], plan.bridge, signal);
  await forget(run, plan.forget, signal);
  if (wish.egress) await allowForwarding(run, signal);

  const [state] = (await readLinks(run, signal)).filter((link) => link.name === devices.bridge).flatMap(stateOf);
  if (state === undefined)
    throw new SkerryError(
      "node-driver-failed",
      `The bridge ${devices.bridge} is gone again; something else removed it.`,
    );
  return state;
}

async function removeNetwork(run: RunProgram, firewall: FirewallTable, id: string, signal: AbortSignal): Promise<void> {
  const devices = networkDevices(id);
  const links = await readLinks(run, signal);
  const bridge = links.find((link) => link.name === devices.bridge);
  const vxlan = links.find((link) => link.name === devices.vxlan);
  if (bridge !== undefined) refuseForeign(bridge, id);
  const attached = links.filter((link) => link.master === devices.bridge && link.name !== devices.vxlan);
  if (attached.length > 0) {
    throw new SkerryError(
      "in-use",
      `Network ${id} still has interfaces on this node: ${attached.map((link) => link.name).join(", ")}.`,
      {
        remedy: "Stop the guests that use it on this node first.",
      },
    );
  }
  const doomed = [vxlan, bridge].flatMap((link) => (link === undefined ? [] : [`link delete dev ${link.name}`]));
  await batch(run, ["ip"], doomed, signal);
  const elements = await firewall.elements(signal);
  await firewall.sync(elementsAbout(elements, id, vxlan?.vxlan?.vni), [], signal);
}

function stateOf(link: Link): readonly NetworkState[] {
  if (link.kind !== "bridge" || link.alias?.startsWith(bridgeAliasPrefix) !== true) return [];
  return [{ id: link.alias.slice(bridgeAliasPrefix.length), bridge: link.name, mtu: link.mtu }];
}

async function batch(
  run: RunProgram,
  program: ["ip" | "bridge"],
  lines: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  if (lines.length > 0) await run([...program, "-batch", "-"], signal, `${lines.join("\n")}\n`);
}

async function forget(run: RunProgram, lines: readonly string[], signal: AbortSignal): Promise<void> {
  if (lines.length === 0) return;
  try {
    await run(["bridge", "-force", "-batch", "-"], signal, `${lines.join("\n")}\n`);
  } catch (error) {
    signal.throwIfAborted();
    // An entry aged out meanwhile, which is what was wanted; one that stays is found again by the next call.
    if (!(error instanceof SkerryError)) throw error;
  }
}

/** Routing is a setting of the whole node, so it is turned on only where a network needs it, and never off. */
async function allowForwarding(run: RunProgram, signal: AbortSignal): Promise<void> {
  const { stdout } = await run(["sysctl", "-n", "net.ipv4.ip_forward"], signal);
  if (stdout.trim() !== "1") await run(["sysctl", "-q", "-w", "net.ipv4.ip_forward=1"], signal);
}

/** Runs one piece of work after the other: each reads the node first and must not see another's half. */
function queue(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work, work);
    last = next.catch(() => undefined);
    return next;
  };
}
