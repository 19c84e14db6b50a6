import type { OverlayDefinition } from "../../network.ts";
import { batch } from "./batch.ts";
import type { FirewallTable } from "./firewall-table.ts";
import { readLinks, type Link } from "./link-state.ts";
import { overlayDevice, overlayMtu } from "./naming.ts";
import type { OverlayKey } from "./overlay-key.ts";
import { planPeers } from "./overlay-plan.ts";
import type { RunProgram } from "./run.ts";
import { ensureWireguard } from "./wireguard-device.ts";

/** Brings the overlay's device, its peers and its address to the wish. */
export async function ensureOverlay(
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
  for (const args of planPeers(overlay, key.path, publicKey, seen, Date.now() / 1000)) {
    await run(["wg", "set", overlayDevice, ...args], signal);
  }
  const address = `${overlay.address}/${overlay.prefixLength}`;
  const device = overlayLink(await readLinks(run, signal));
  const lines: string[] = [];
  if (device?.mtu !== overlayMtu) lines.push(`link set dev ${overlayDevice} mtu ${overlayMtu}`);
  if (device?.addresses.includes(address) !== true) lines.push(`addr add ${address} dev ${overlayDevice}`);
  for (const old of device?.addresses ?? []) if (old !== address) lines.push(`addr delete ${old} dev ${overlayDevice}`);
  if (device?.up !== true) lines.push(`link set dev ${overlayDevice} up`);
  await batch(run, "ip", lines, signal);
}

export function overlayLink(links: readonly Link[]): Link | undefined {
  return links.find((link) => link.name === overlayDevice);
}
