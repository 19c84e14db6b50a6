import { rm } from "node:fs/promises";
import { listGroups, removeGroup, removeParentGroup } from "./control-group.ts";
import { lockTestbed } from "./lock.ts";
import { unmountWithin } from "./mounts.ts";
import { removeNetwork } from "./network.ts";
import { readOwner, refuseForeignOwner, removeOwner } from "./owner.ts";
import { planTestbed } from "./plan.ts";
import type { Progress, TestbedOptions } from "./testbed.ts";
import { removePartialTrees } from "./tree.ts";

/**
 * Removes every process, mount, namespace, control group and file of the testbed, whole or half-built; the cache stays.
 * Safe to repeat, also when nothing is there. Throws a TestbedError when another process is at work on the testbed.
 */
export async function takeDown(options: TestbedOptions, progress: Progress, signal?: AbortSignal): Promise<void> {
  planTestbed(options);
  await using _lock = await lockTestbed();
  await refuseForeignOwner(options);
  await clear(options, progress, signal);
}

/** takeDown for a caller that holds the lock. Processes go first, since they hold everything else. */
export async function clear(options: TestbedOptions, progress: Progress, signal?: AbortSignal): Promise<void> {
  const startedAt = performance.now();
  const step = "take down";
  const groups = await listGroups();
  // Half-built trees lie in the cache of the bringUp that was cut off, which need not be the one named now.
  const caches = new Set([options.cacheDir, (await readOwner())?.cacheDir ?? options.cacheDir]);
  const total = groups.length;
  progress({ step, detail: "processes", done: 0, total });
  let done = 0;
  await Promise.all(
    groups.map(async (group) => {
      await removeGroup(group, signal);
      progress({ step, detail: "processes", done: ++done, total });
    }),
  );
  progress({ step, detail: "mounts" });
  await unmountWithin(options.stateDir, signal);
  for (const cache of caches) await unmountWithin(`${cache}/trees`, signal);
  progress({ step, detail: "networks" });
  await removeNetwork(signal);
  await removeParentGroup();
  progress({ step, detail: "files" });
  for (const cache of caches) await removePartialTrees(cache);
  for (const group of groups) await removeMachineTraces(group);
  await rm(options.stateDir, { recursive: true, force: true });
  await removeOwner();
  progress({ step, elapsedMs: Math.round(performance.now() - startedAt) });
}

/** systemd-nspawn that was killed leaves its propagation directory behind. */
async function removeMachineTraces(group: string): Promise<void> {
  const machine = group === "build" ? "sk-build" : /^host-(p\d+-h\d+)$/.exec(group)?.[1];
  if (machine === undefined) return;
  for (const kind of ["propagate", "unix-export"])
    await rm(`/run/systemd/nspawn/${kind}/${machine}`, { recursive: true, force: true });
}
