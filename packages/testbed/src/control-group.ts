import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { startDaemon } from "./command.ts";

/**
 * Every process of the testbed lives in a control group of its own, because a group is the one thing that a process
 * can't leave by forking: what is in it can be found and ended with certainty, also after a crash.
 */
const parentName = "skerry-testbed";
const launcher = fileURLToPath(new URL("./launch.sh", import.meta.url));

/** Hierarchies to join: the unified one, and systemd's named one where the machine still has version 1. */
function hierarchies(): readonly string[] {
  if (existsSync("/sys/fs/cgroup/cgroup.procs")) return ["/sys/fs/cgroup"];
  const mounted = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"].filter((path) =>
    existsSync(`${path}/cgroup.procs`),
  );
  if (mounted.length === 0) throw new Error("no control group hierarchy is mounted below /sys/fs/cgroup");
  return mounted;
}

function parents(): readonly string[] {
  return hierarchies().map((path) => `${path}/${parentName}`);
}

/** The argv that runs `argv` inside the named group; the group is made first, the process joins it before anything else. */
export async function inGroup(name: string, argv: readonly string[]): Promise<readonly string[]> {
  const directories = parents().map((parent) => `${parent}/${name}`);
  for (const directory of directories) await mkdir(directory, { recursive: true });
  return ["/bin/sh", launcher, ...directories, "--", ...argv];
}

/**
 * Starts a program that outlives this process as a member of the group; resolves once it has joined, so that an empty
 * group means from then on that the program has ended.
 */
export async function startInGroup(name: string, argv: readonly string[], logPath: string): Promise<void> {
  const child = await startDaemon(await inGroup(name, argv), logPath);
  while (!(await groupProcesses(name)).includes(child.pid) && !child.ended()) await delay(5);
}

/** Names of all groups of the testbed that exist, used or not. */
export async function listGroups(): Promise<readonly string[]> {
  const names = new Set<string>();
  for (const parent of parents()) for (const name of await childDirectories(parent)) names.add(name);
  return [...names].sort();
}

/** Process ids in a group and below it, in any hierarchy. */
export async function groupProcesses(name: string): Promise<readonly number[]> {
  const pids = new Set<number>();
  for (const parent of parents()) await collect(`${parent}/${name}`, pids);
  return [...pids].sort((a, b) => a - b);
}

/** Kills every process of a group and removes the group; safe to repeat; throws when a process survives 15 s. */
export async function removeGroup(name: string, signal?: AbortSignal): Promise<void> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    for (const parent of parents()) {
      // Atomic against forks where the kernel has it (5.14); the loop below covers the rest.
      await writeFile(`${parent}/${name}/cgroup.kill`, "1", { flag: "r+" }).catch(() => undefined);
    }
    const pids = await groupProcesses(name);
    for (const pid of pids) kill(pid);
    if (pids.length === 0) break;
    if (Date.now() > deadline) throw new Error(`processes ${pids.join(", ")} of group ${name} can't be killed`);
    await delay(20, undefined, { signal });
  }
  for (const parent of parents()) await removeTree(`${parent}/${name}`, deadline);
}

/** Removes the groups' common parent once it is empty. */
export async function removeParentGroup(): Promise<void> {
  for (const parent of parents()) await rmdir(parent).catch(ignoreMissing);
}

async function collect(directory: string, pids: Set<number>): Promise<void> {
  const text = await readFile(`${directory}/cgroup.procs`, "utf8").catch(() => "");
  for (const line of text.split("\n")) if (line !== "" && line !== "0") pids.add(Number(line));
  for (const child of await childDirectories(directory)) await collect(`${directory}/${child}`, pids);
}

async function removeTree(directory: string, deadline: number): Promise<void> {
  for (const child of await childDirectories(directory)) await removeTree(`${directory}/${child}`, deadline);
  for (;;) {
    try {
      return await rmdir(directory);
    } catch (error) {
      if (codeOf(error) === "ENOENT") return;
      // The kernel lets go of a killed process a moment after it left the list.
      if (codeOf(error) !== "EBUSY" || Date.now() > deadline) throw error;
      await delay(20);
    }
  }
}

async function childDirectories(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Already gone, which is what was wanted.
  }
}

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== "ENOENT") throw error;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
