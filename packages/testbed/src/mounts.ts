import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { runCommand } from "./command.ts";
import { isWithin } from "./plan.ts";

export interface Overlay {
  readonly target: string;
  /** Uppermost first. */
  readonly lower: readonly string[];
  readonly upper: string;
  readonly work: string;
}

/** Mounts an overlay; the directories exist and hold no comma or colon, which planTestbed makes sure of. */
export async function mountOverlay(overlay: Overlay, signal?: AbortSignal): Promise<void> {
  const options = `lowerdir=${overlay.lower.join(":")},upperdir=${overlay.upper},workdir=${overlay.work}`;
  await runCommand(["mount", "-t", "overlay", "skerry-testbed", "-o", options, overlay.target], { signal });
}

/** Mount points at or below a directory, deepest first, so that they can be unmounted in this order. */
export async function mountsWithin(directory: string): Promise<readonly string[]> {
  return mountPoints(await readFile("/proc/self/mountinfo", "utf8"), directory);
}

/** Mount points of a mountinfo text (proc(5)) at or below a directory, latest first. */
export function mountPoints(mountinfo: string, directory: string): readonly string[] {
  const points: string[] = [];
  for (const line of mountinfo.split("\n")) {
    const escaped = line.split(" ")[4];
    if (escaped === undefined) continue;
    const point = escaped.replace(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    if (isWithin(point, directory)) points.push(point);
  }
  return points.reverse();
}

/** Unmounts one mount point, waiting a moment for processes that were just killed to let go of it. */
export async function unmount(target: string, signal?: AbortSignal): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const result = await runCommand(["umount", target], { allowFailure: true, signal });
    if (result.exitCode === 0) return;
    if (!(await mountsWithin(target)).includes(target)) return;
    if (Date.now() > deadline) throw new Error(`${target} can't be unmounted: ${result.stderr.trim()}`);
    await delay(100, undefined, { signal });
  }
}

/** Unmounts everything at or below a directory. */
export async function unmountWithin(directory: string, signal?: AbortSignal): Promise<void> {
  for (const point of await mountsWithin(directory)) await unmount(point, signal);
}
