import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { runCommand } from "./command.ts";
import { groupProcesses, startInGroup } from "./control-group.ts";
import {
  bridgeName,
  controlPlaneAddress,
  gatewayLinkInterface,
  isTestbedNamespace,
  mtu,
  testbedCidr,
  uplinkInterface,
  wanAddress,
  wanNamespace,
  type ProviderPlan,
  type TestbedPlan,
} from "./plan.ts";
import { TestbedError } from "./testbed.ts";

const namespaceDirectory = "/run/netns";
const relay = fileURLToPath(new URL("./link.py", import.meta.url));

/** Path by which a program enters a namespace (`nsenter --net=`); `ip netns exec` would hide the control groups. */
export function namespacePath(name: string): string {
  return `${namespaceDirectory}/${name}`;
}

/** The testbed's network namespaces that exist now, whoever made them. */
export async function listNamespaces(): Promise<readonly string[]> {
  const names = await readdir(namespaceDirectory).catch(() => []);
  return names.filter(isTestbedNamespace).sort();
}

/** Whether every namespace of the plan and the uplink exist; links are looked at apart, since they can be started again. */
export async function isNetworkBuilt(plan: TestbedPlan): Promise<boolean> {
  const present = new Set(await listNamespaces());
  const wanted = [wanNamespace, ...plan.providers.map((provider) => provider.namespace)];
  return wanted.every((name) => present.has(name)) && existsSync(`/sys/class/net/${uplinkInterface}`);
}

/** Makes namespaces, bridges, TAP devices and routes; nothing of them may exist before. */
export async function buildNetwork(plan: TestbedPlan, signal?: AbortSignal): Promise<void> {
  await refuseOverlap(signal);
  await makeNamespace(wanNamespace, signal);
  await ip(
    [],
    [
      `link add ${uplinkInterface} type veth peer name root0 netns ${wanNamespace}`,
      `addr add ${controlPlaneAddress}/30 dev ${uplinkInterface}`,
      `link set ${uplinkInterface} mtu ${mtu} up`,
    ],
    signal,
  );
  await ip(["-n", wanNamespace], [`addr add ${wanAddress}/30 dev root0`, `link set root0 mtu ${mtu} up`], signal);
  await ip([], [`route add ${testbedCidr} via ${wanAddress} dev ${uplinkInterface}`], signal);
  for (const provider of plan.providers) await buildProvider(provider, signal);
}

async function buildProvider(provider: ProviderPlan, signal?: AbortSignal): Promise<void> {
  const { namespace, link } = provider;
  await makeNamespace(namespace, signal);
  await ip(
    ["-n", wanNamespace],
    [
      `tuntap add dev ${link.wanInterface} mode tap`,
      `addr add ${link.wanAddress}/30 dev ${link.wanInterface}`,
      `link set ${link.wanInterface} mtu ${mtu} up`,
      `route add ${provider.cidr} via ${link.gatewayAddress}`,
    ],
    signal,
  );
  await ip(
    ["-n", namespace],
    [
      `tuntap add dev ${gatewayLinkInterface} mode tap`,
      `addr add ${link.gatewayAddress}/30 dev ${gatewayLinkInterface}`,
      `link set ${gatewayLinkInterface} mtu ${mtu} up`,
      `route add default via ${link.wanAddress}`,
      `link add ${bridgeName} type bridge stp_state 0 forward_delay 0`,
      `addr add ${provider.gateway}/24 dev ${bridgeName}`,
      `link set ${bridgeName} mtu ${mtu} up`,
    ],
    signal,
  );
}

async function makeNamespace(name: string, signal?: AbortSignal): Promise<void> {
  await runCommand(["ip", "netns", "add", name], { signal });
  await ip(["-n", name], ["link set lo up"], signal);
  await runCommand(["nsenter", `--net=${namespacePath(name)}`, "tee", "/proc/sys/net/ipv4/ip_forward"], {
    input: "1",
    signal,
  });
}

/** Starts the delaying relay of every link that has none. */
export async function startLinks(plan: TestbedPlan, logDirectory: string): Promise<void> {
  for (const provider of plan.providers) {
    const group = linkGroup(provider);
    if ((await groupProcesses(group)).length > 0) continue;
    const ends = [wanNamespace, provider.link.wanInterface, provider.namespace, gatewayLinkInterface];
    const argv = ["/usr/bin/python3", "-B", "-S", relay, ...ends, String(plan.options.wanDelayMs)];
    await startInGroup(group, argv, `${logDirectory}/${group}.log`);
  }
}

function linkGroup(provider: ProviderPlan): string {
  return `link-p${provider.index}`;
}

/** Removes the testbed's namespaces, with every interface in them, and the uplink; relays and hosts must have ended. Safe to repeat. */
export async function removeNetwork(signal?: AbortSignal): Promise<void> {
  if (existsSync(`/sys/class/net/${uplinkInterface}`)) {
    // The peer's namespace may have taken it along meanwhile.
    await runCommand(["ip", "link", "delete", uplinkInterface], { allowFailure: true, signal });
  }
  for (const name of await listNamespaces()) {
    const removed = await runCommand(["ip", "netns", "delete", name], { allowFailure: true, signal });
    // A crash between the file and its mount leaves a plain file, which `ip` refuses to unmount but does remove.
    if (removed.exitCode !== 0 && existsSync(namespacePath(name))) {
      throw new Error(`the network namespace ${name} can't be removed: ${removed.stderr.trim()}`);
    }
  }
}

async function refuseOverlap(signal?: AbortSignal): Promise<void> {
  const routes = await runCommand(["ip", "-4", "-o", "route", "show", "root", testbedCidr], { signal });
  const taken = routes.stdout.split("\n").find((line) => line !== "" && !line.includes(` dev ${uplinkInterface}`));
  if (taken === undefined) return;
  throw new TestbedError(
    `this machine already routes addresses of ${testbedCidr}: ${taken.trim()}`,
    "The testbed needs that range for itself; run it on a machine whose networks don't use it.",
  );
}

/** `ip` takes each line as one command, so that a namespace costs one process instead of ten. */
async function ip(options: readonly string[], lines: readonly string[], signal?: AbortSignal): Promise<void> {
  await runCommand(["ip", ...options, "-batch", "-"], { input: `${lines.join("\n")}\n`, signal });
}
