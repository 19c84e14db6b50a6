import { setTimeout as delay } from "node:timers/promises";
import { SkerryError } from "@skerry/model";
import { overlayDevice } from "./naming.ts";
import { readDump, type SeenOverlay } from "./overlay-plan.ts";
import { readLinks } from "./link-state.ts";
import type { RunProgram } from "./run.ts";

/** How long wireguard-go may take until it answers. */
const startMs = 5_000;

/**
 * Sees to the overlay's device: the kernel's WireGuard where it has one, else wireguard-go, which then outlives the agent.
 * A device that is there but does not answer lost its process and is made anew.
 */
export async function ensureWireguard(run: RunProgram, signal: AbortSignal): Promise<SeenOverlay> {
  const exists = (await readLinks(run, signal)).some((link) => link.name === overlayDevice);
  if (exists) {
    const seen = await show(run, signal);
    if (seen !== undefined) return seen;
    await run(["ip", "link", "delete", "dev", overlayDevice], signal);
  }
  const kernel = await attempt(run, ["ip", "link", "add", "name", overlayDevice, "type", "wireguard"], signal);
  if (kernel instanceof SkerryError) await startInUserSpace(run, kernel, signal);
  const deadline = performance.now() + startMs;
  for (;;) {
    const seen = await show(run, signal);
    if (seen !== undefined) return seen;
    if (performance.now() > deadline) {
      throw new SkerryError(
        "node-driver-failed",
        `The overlay's device ${overlayDevice} did not answer within ${startMs / 1000} s.`,
        {
          remedy: "Look at the node's log (journalctl -u skerry-overlay), and whether /dev/net/tun exists there.",
        },
      );
    }
    await delay(50, undefined, { signal });
  }
}

/** Undefined where the device is not there or does not answer. */
async function show(run: RunProgram, signal: AbortSignal): Promise<SeenOverlay | undefined> {
  const shown = await attempt(run, ["wg", "show", overlayDevice, "dump"], signal);
  return typeof shown === "string" ? readDump(shown) : undefined;
}

async function startInUserSpace(run: RunProgram, kernel: SkerryError, signal: AbortSignal): Promise<void> {
  // As a unit of its own it stays when the agent's unit is stopped; without systemd a session of its own does the same.
  const systemd = !((await attempt(run, ["test", "-d", "/run/systemd/system"], signal)) instanceof SkerryError);
  const started = await attempt(
    run,
    systemd
      ? ["systemd-run", "--quiet", "--collect", "--unit=skerry-overlay", "wireguard-go", "--foreground", overlayDevice]
      : ["setsid", "wireguard-go", overlayDevice],
    signal,
  );
  if (started instanceof SkerryError) {
    throw new SkerryError("node-driver-failed", `The node has no WireGuard: ${kernel.message}; ${started.message}`, {
      remedy: "Install wireguard-go on the node, or a kernel with WireGuard.",
      cause: started,
    });
  }
}

/** Runs a program that may fail; gives what it wrote, or its failure. */
async function attempt(
  run: RunProgram,
  argv: readonly [string, ...string[]],
  signal: AbortSignal,
): Promise<string | SkerryError> {
  try {
    return (await run(argv, signal)).stdout;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof SkerryError) return error;
    throw error;
  }
}
