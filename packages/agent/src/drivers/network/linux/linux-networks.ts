import { join } from "node:path";
import { SkerryError } from "@skerry/model";
import type { NetworkDefinition, NetworkDriver, NetworkState, OverlayDefinition } from "../../network.ts";
import { runProgram } from "../../run-program.ts";
import { checkedId } from "../../server-made-id.ts";
import { batch, forget } from "./batch.ts";
import { elementsAbout, elementsOf } from "./firewall.ts";
import { FirewallTable } from "./firewall-table.ts";
import { readForwarding, readLinks, type Link } from "./link-state.ts";
import { bridgeAliasPrefix, networkDevices } from "./naming.ts";
import { planNetwork, refuseForeign } from "./network-plan.ts";
import { ensureOverlay, overlayLink } from "./overlay.ts";
import { OverlayKey } from "./overlay-key.ts";
import type { RunProgram } from "./run.ts";
import { checkedNetwork, checkedOverlay, type NetworkWish } from "./wish.ts";

export interface LinuxNetworkOptions {
  /** Folder for the overlay's private key; made where it is missing. */
  readonly folder: string;
  /** Tests give one that enters the namespace which stands for a node. */
  readonly run?: RunProgram;
}

/**
 * Networks from what Linux has: a bridge per network, VXLAN inside WireGuard between nodes, nftables around both. What is
 * there is in the kernel, where `ip`, `bridge`, `wg` and `nft` show it, so that it takes up after a restart where it was.
 */
export function openLinuxNetworks(options: LinuxNetworkOptions): NetworkDriver {
  return new LinuxNetworks(options.folder, options.run ?? runProgram);
}

class LinuxNetworks implements NetworkDriver {
  readonly name = "linux";
  readonly #run: RunProgram;
  readonly #key: OverlayKey;
  readonly #firewall: FirewallTable;
  /** The last wishes, by which `list` sees what was taken away since; each is verified before it is kept. */
  readonly #wishes = new Map<string, NetworkWish>();
  #overlay: OverlayDefinition | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(folder: string, run: RunProgram) {
    this.#run = run;
    this.#key = new OverlayKey(join(folder, "overlay.key"));
    this.#firewall = new FirewallTable(run);
  }

  publicKey(): Promise<string> {
    return this.#key.publicKey();
  }

  ensureOverlay(overlay: OverlayDefinition, signal: AbortSignal): Promise<void> {
    return this.#oneAtATime(async () => {
      this.#overlay = checkedOverlay(overlay);
      await ensureOverlay(this.#run, this.#key, this.#firewall, this.#overlay, signal);
    });
  }

  ensureNetwork(network: NetworkDefinition, signal: AbortSignal): Promise<NetworkState> {
    return this.#oneAtATime(async () => {
      const wish = checkedNetwork(network);
      this.#wishes.set(wish.id, wish);
      return this.#ensureNetwork(wish, signal);
    });
  }

  /**
   * Looks, and mends what nobody but the node itself would notice: an overlay whose process died, rules that another
   * program flushed.
   */
  list(signal: AbortSignal): Promise<readonly NetworkState[]> {
    return this.#oneAtATime(async () => {
      if (this.#wishes.size > 0) await this.#syncRules([...this.#wishes.values()], signal);
      return (await this.#linksWithOverlay(signal)).flatMap(stateOf);
    });
  }

  removeNetwork(id: string, signal: AbortSignal): Promise<void> {
    return this.#oneAtATime(async () => {
      await this.#removeNetwork(checkedId("net", id), signal);
      this.#wishes.delete(id);
    });
  }

  async #ensureNetwork(wish: NetworkWish, signal: AbortSignal): Promise<NetworkState> {
    const devices = networkDevices(wish.id);
    const links = await this.#linksWithOverlay(signal);
    const [overlayAddress] = overlayLink(links)?.addresses ?? [];
    if (overlayAddress === undefined) {
      throw new SkerryError("node-driver-failed", "The node's overlay is not up, so networks have nothing to run in.", {
        remedy: "The node's log says why, where it was told to bring it up.",
      });
    }
    const hasVxlan = links.some((link) => link.name === devices.vxlan);
    const forwarding = hasVxlan ? await readForwarding(this.#run, devices, signal) : undefined;
    const plan = planNetwork(wish, overlayAddress.slice(0, overlayAddress.indexOf("/")), links, forwarding);

    // The rules stand before the first packet can pass.
    await this.#syncRules([wish], signal);
    await batch(this.#run, "ip", plan.ip, signal);
    await batch(this.#run, "bridge", plan.bridge, signal);
    await forget(this.#run, plan.forget, signal);
    if (wish.egress) await allowForwarding(this.#run, signal);

    const after = (await readLinks(this.#run, signal)).filter((link) => link.name === devices.bridge);
    const [state] = after.flatMap(stateOf);
    if (state === undefined) {
      throw new SkerryError(
        "node-driver-failed",
        `The bridge ${devices.bridge} was removed by something else meanwhile.`,
      );
    }
    return state;
  }

  async #removeNetwork(id: string, signal: AbortSignal): Promise<void> {
    const devices = networkDevices(id);
    const links = await readLinks(this.#run, signal);
    const bridge = links.find((link) => link.name === devices.bridge);
    const vxlan = links.find((link) => link.name === devices.vxlan);
    if (bridge !== undefined) refuseForeign(bridge, id);
    const attached = links.filter((link) => link.master === devices.bridge && link.name !== devices.vxlan);
    if (attached.length > 0) {
      const names = attached.map((link) => link.name).join(", ");
      throw new SkerryError("in-use", `Network ${id} still has interfaces on this node: ${names}.`, {
        remedy: "Stop the guests that use it on this node first.",
      });
    }
    const doomed = [vxlan, bridge].flatMap((link) => (link === undefined ? [] : [`link delete dev ${link.name}`]));
    await batch(this.#run, "ip", doomed, signal);
    const elements = await this.#firewall.elements(signal);
    await this.#firewall.sync(elementsAbout(elements, id, vxlan?.vxlan?.vni), [], signal);
  }

  async #syncRules(wishes: readonly NetworkWish[], signal: AbortSignal): Promise<void> {
    const elements = await this.#firewall.elements(signal);
    const seen = wishes.flatMap((wish) => elementsAbout(elements, wish.id, wish.vni));
    await this.#firewall.sync(seen, wishes.flatMap(elementsOf), signal);
  }

  /** The node's links; an overlay that is wished and gone is made again first. */
  async #linksWithOverlay(signal: AbortSignal): Promise<readonly Link[]> {
    const links = await readLinks(this.#run, signal);
    if (this.#overlay === undefined || overlayLink(links) !== undefined) return links;
    try {
      await ensureOverlay(this.#run, this.#key, this.#firewall, this.#overlay, signal);
    } catch (error) {
      signal.throwIfAborted();
      // What is on the node can be told without it; whoever needs the overlay is told.
      if (!(error instanceof SkerryError)) throw error;
    }
    return readLinks(this.#run, signal);
  }

  /** Each piece of work reads the node first, and must not see another's half. */
  #oneAtATime<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#last.then(work, work);
    this.#last = next.catch(() => undefined);
    return next;
  }
}

function stateOf(link: Link): readonly NetworkState[] {
  if (link.kind !== "bridge" || link.alias?.startsWith(bridgeAliasPrefix) !== true) return [];
  return [{ id: link.alias.slice(bridgeAliasPrefix.length), bridge: link.name, mtu: link.mtu }];
}

/** Routing is a setting of the whole node, so it is turned on only where a network needs it, and never off. */
async function allowForwarding(run: RunProgram, signal: AbortSignal): Promise<void> {
  const { stdout } = await run(["sysctl", "-n", "net.ipv4.ip_forward"], signal);
  if (stdout.trim() !== "1") await run(["sysctl", "-q", "-w", "net.ipv4.ip_forward=1"], signal);
}
