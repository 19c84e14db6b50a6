import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { aptProxyUrl, ensureAptProxy } from "./apt-proxy.ts";
import { runCommand } from "./command.ts";
import { listGroups, removeGroup } from "./control-group.ts";
import { findLeader, hostGroup, hostPaths, keyFingerprint, prepareHost, startHost, untilHostAnswers } from "./host.ts";
import { lockTestbed } from "./lock.ts";
import { buildNetwork, isNetworkBuilt, removeNetwork, startLinks } from "./network.ts";
import { refuseForeignOwner, writeOwner } from "./owner.ts";
import { controlPlaneAddress, planTestbed, sshUser, type TestbedPlan } from "./plan.ts";
import { missingPrerequisites } from "./prerequisites.ts";
import { readRecord, writeRecord } from "./record.ts";
import { clear } from "./take-down.ts";
import { TestbedError, type Progress, type Testbed, type TestbedHost, type TestbedOptions } from "./testbed.ts";
import { ensureTrees, type TreeLayers } from "./tree.ts";

/** Hosts that boot at the same time: more than the processors, since a boot waits as much as it computes. */
const parallelBoots = 4;
const inotifyInstances = 1024;

/**
 * Builds the testbed, or completes what is there: a host that stopped is booted again from its own disk, a dead link is
 * replaced, and what a crashed bringUp left behind is removed first. Throws a TestbedError for what the caller can mend.
 * Cancelled or failed, it leaves an incomplete testbed that the next bringUp or takeDown removes.
 */
export async function bringUp(options: TestbedOptions, progress: Progress, signal?: AbortSignal): Promise<Testbed> {
  const plan = planTestbed(options);
  const missing = await missingPrerequisites();
  if (missing.length > 0) {
    throw new TestbedError(
      missing.map((one) => one.cause).join("; "),
      [...new Set(missing.map((one) => one.remedy))].join(" "),
    );
  }
  await using _lock = await lockTestbed();
  await refuseForeignOwner(options);
  const layers = await keptLayers(options);
  if (layers === undefined) await clear(options, progress, signal);
  await mkdir(`${options.stateDir}/log`, { recursive: true, mode: 0o755 });
  await writeOwner(options);
  if (layers === undefined) await writeRecord(options);
  await raiseInotifyLimit();

  await timed("networks", progress, () => ensureNetwork(plan, signal));
  const proxyPaths = { directory: `${options.cacheDir}/apt-proxy`, cache: `${options.cacheDir}/apt` };
  await ensureAptProxy(proxyPaths, signal);
  const trees = layers ?? (await ensureTrees(options.cacheDir, progress, signal));
  const userKey = await ensureUserKey(options.stateDir, signal);
  await bootHosts(plan, trees, userKey, progress, signal);
  await writeRecord(options, trees);
  const testbed = await describe(plan);
  if (testbed === undefined) throw new Error("a host ended right after it had booted");
  return testbed;
}

/** The running testbed of this state directory; undefined when there is none, or when it is not whole. */
export async function describeTestbed(options: Pick<TestbedOptions, "stateDir">): Promise<Testbed | undefined> {
  const record = await readRecord(options.stateDir);
  if (record?.complete === undefined) return undefined;
  const plan = planTestbed(record.options);
  return (await isNetworkBuilt(plan)) ? describe(plan) : undefined;
}

async function describe(plan: TestbedPlan): Promise<Testbed | undefined> {
  const hosts: TestbedHost[] = [];
  for (const host of plan.hosts) {
    const paths = hostPaths(plan.options.stateDir, host.name);
    const leaderPid = await findLeader(host.name);
    if (leaderPid === undefined) return undefined;
    hosts.push({
      name: host.name,
      provider: host.provider,
      address: host.address,
      sshPort: 22,
      hostKeyFingerprint: keyFingerprint(await readFile(`${paths.hostKey}.pub`, "utf8")),
      packages: host.packages,
      rootPath: paths.root,
      leaderPid,
    });
  }
  return {
    controlPlaneAddress,
    aptProxyUrl,
    sshUser,
    sshPrivateKeyPath: userKeyPath(plan.options.stateDir),
    hosts,
    providers: plan.providers.map(({ index, namespace, cidr }) => ({ index, namespace, cidr })),
  };
}

/** The layers of a testbed that was once whole; undefined when there is none, or when its layers went with the cache. */
async function keptLayers(options: TestbedOptions): Promise<TreeLayers | undefined> {
  const record = await readRecord(options.stateDir);
  if (record?.complete === undefined) return undefined;
  refuseDifferentPlan(record.options, options);
  const paths = [...record.complete.bare, ...record.complete.hypervisor];
  return paths.every((path) => existsSync(path)) ? record.complete : undefined;
}

function refuseDifferentPlan(is: TestbedOptions, wanted: TestbedOptions): void {
  const words = {
    providers: "providers",
    nodesPerProvider: "nodes per provider",
    wanDelayMs: "ms of WAN delay",
    cacheDir: "as its cache directory",
  } as const;
  for (const key of ["providers", "nodesPerProvider", "wanDelayMs", "cacheDir"] as const) {
    if (is[key] === wanted[key]) continue;
    throw new TestbedError(
      `a testbed with ${is[key]} ${words[key]} is up, and ${wanted[key]} was asked for`,
      "Take it down first (its hosts' disks go with it), or ask for what is there.",
    );
  }
}

async function ensureNetwork(plan: TestbedPlan, signal?: AbortSignal): Promise<void> {
  if (!(await isNetworkBuilt(plan))) {
    // After a power cut, or when someone removed a part by hand: hosts can't move into a new network while they run.
    for (const group of await listGroups()) await removeGroup(group, signal);
    await removeNetwork(signal);
    await buildNetwork(plan, signal);
  }
  await startLinks(plan, `${plan.options.stateDir}/log`);
}

async function bootHosts(
  plan: TestbedPlan,
  trees: TreeLayers,
  userKey: string,
  progress: Progress,
  signal?: AbortSignal,
): Promise<void> {
  const total = plan.hosts.length;
  let done = 0;
  await timed("boot hosts", progress, async () => {
    const waiting = [...plan.hosts];
    const boot = async (): Promise<void> => {
      for (let host = waiting.shift(); host !== undefined; host = waiting.shift()) {
        const paths = hostPaths(plan.options.stateDir, host.name);
        await prepareHost(host, paths, trees[host.packages], userKey, signal);
        if ((await findLeader(host.name)) === undefined) await removeGroup(hostGroup(host.name), signal);
        await startHost(host, paths);
        await untilHostAnswers(host, paths, signal);
        progress({ step: "boot hosts", detail: host.name, done: ++done, total });
      }
    };
    await Promise.all(Array.from({ length: parallelBoots }, boot));
  });
}

async function ensureUserKey(stateDir: string, signal?: AbortSignal): Promise<string> {
  const path = userKeyPath(stateDir);
  if (!existsSync(`${path}.pub`)) {
    await mkdir(`${stateDir}/ssh`, { recursive: true, mode: 0o700 });
    await runCommand(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "skerry-testbed", "-f", path], { signal });
  }
  return readFile(`${path}.pub`, "utf8");
}

function userKeyPath(stateDir: string): string {
  return `${stateDir}/ssh/id_ed25519`;
}

/** Debian's default lets about fourteen init systems run at once. */
async function raiseInotifyLimit(): Promise<void> {
  const path = "/proc/sys/fs/inotify/max_user_instances";
  if (Number(await readFile(path, "utf8")) < inotifyInstances) await writeFile(path, String(inotifyInstances));
}

async function timed(step: string, progress: Progress, work: () => Promise<void>): Promise<void> {
  const startedAt = performance.now();
  progress({ step });
  await work();
  progress({ step, elapsedMs: Math.round(performance.now() - startedAt) });
}
