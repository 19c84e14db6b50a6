import { execFile } from "node:child_process";
import { createReadStream } from "node:fs";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { fromProblem, kinds, parserOf, type InstanceResource } from "@skerry/model";
import type { Client } from "@skerry/sdk";
import {
  bringUp,
  buildGuestImage,
  defaultTestbedOptions,
  describeTestbed,
  installPrerequisites,
  takeDown,
  type GuestImage,
  type Testbed,
  type TestbedHost,
} from "@skerry/testbed";
import { imageFlags } from "../src/commands/image-flags.ts";
import { startControlPlane, type DemoControlPlane } from "../src/demo/control-plane.ts";
import { eventually } from "./zone.ts";

export const project = "lab";
export const nodeNames = ["alpha", "beta"] as const;
export type NodeName = (typeof nodeNames)[number];

/** Only root enters it: nothing that runs as another user may need the testbed's state. */
const privateFolder = "/var/lib/skerry-real-zone";
/** The last host of a testbed starts bare; the zone uses the others, so that no packages have to be installed. */
const providers = nodeNames.length + 1;
const options = { ...defaultTestbedOptions, stateDir: `${privateFolder}/testbed`, providers };
const serverPort = 7443;
const quiet = (): void => undefined;
const share = { vcpus: 4, memoryMiB: 4096, diskMiB: 8192 };

/** What a node's agent keeps its guests and disks in. */
const agentFolder = "var/lib/skerry";

/** A zone of a real server and two hosts of a testbed, provisioned over SSH, whose guests are QEMU's. */
export interface RealZone {
  readonly client: Client;
  /** For programs that connect by themselves. */
  readonly connection: Pick<DemoControlPlane, "url" | "tokenFile" | "authorityFile">;
  readonly testbed: Testbed;
  /** The whole of what provisioning took, per node. */
  readonly provisioningMs: Readonly<Record<NodeName, number>>;
  host(node: NodeName): TestbedHost;
  /** Runs a program as root in all namespaces of a node's host. @throws where it fails */
  inHost(node: NodeName, ...argv: readonly string[]): Promise<string>;
  /** Names in a folder of the agent's on a node; none where the folder is missing. */
  kept(node: NodeName, folder: string): Promise<readonly string[]>;
  /** At once, without a shutdown: the host's processes are gone, and it boots again from its disk. */
  reboot(node: NodeName): Promise<void>;
  /** SIGKILL, then a new process over the same data, at once. */
  killServer(): Promise<void>;
  /** SIGKILL; systemd starts it again. */
  killAgent(node: NodeName): Promise<void>;
  /** Cuts the two hosts off from each other, not from the server, until the returned function is called. */
  cut(how: "drop" | "reset"): Promise<() => Promise<void>>;
  /** Lets nothing pass between a host and the server, other hosts or anybody, until the returned function is called. */
  cutOff(node: NodeName): Promise<() => Promise<void>>;
  /** SIGKILL, and systemd leaves it dead until the returned function is called. */
  leaveAgentDead(node: NodeName): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

export async function startRealZone(image?: () => Promise<GuestImage>): Promise<RealZone> {
  await installPrerequisites(quiet);
  await mkdir(privateFolder, { recursive: true, mode: 0o700 });
  let control: DemoControlPlane | undefined;
  const close = async (): Promise<void> => {
    await control?.process.stop();
    await takeDown(options, quiet);
    await rm(privateFolder, { recursive: true, force: true });
  };
  try {
    await rm(join(privateFolder, "zone"), { recursive: true, force: true });
    const testbed = await bringUp(options, quiet);
    const guestImage = await (image ?? (() => buildGuestImage({ cacheDir: options.cacheDir }, quiet)))();
    const place = {
      dataDir: join(privateFolder, "zone"),
      artifactsDir: join(options.cacheDir, "agent"),
      port: serverPort,
    };
    const start = (): Promise<DemoControlPlane> =>
      startControlPlane(place, testbed.controlPlaneAddress, AbortSignal.timeout(60_000));
    control = await start();
    const { client } = control;
    await furnish(client, guestImage);
    const hosts = new Map(nodeNames.map((name, index) => [name, testbed.hosts[index]]));
    const host = (node: NodeName): TestbedHost => {
      const found = hosts.get(node);
      if (found === undefined) throw new Error(`the testbed has no host for ${node}`);
      return found;
    };
    const privateKey = await readFile(testbed.sshPrivateKeyPath, "utf8");
    const spent = await Promise.all(
      nodeNames.map((name) => provision(client, name, host(name), { user: testbed.sshUser, privateKey })),
    );
    const inHost = (node: NodeName, ...argv: readonly string[]): Promise<string> => enter(host(node), argv);
    return {
      client,
      connection: control,
      testbed,
      provisioningMs: { alpha: spent[0] ?? 0, beta: spent[1] ?? 0 },
      host,
      inHost,
      kept: (node, folder) => readdir(join(host(node).rootPath, agentFolder, folder)).catch(() => []),
      reboot: async (node) => {
        const was = host(node).leaderPid;
        // It does not live to answer.
        await inHost(node, "systemctl", "reboot", "--force", "--force").catch(() => undefined);
        const booted = await eventually("the host is up again", async () => {
          const found = (await describeTestbed(options))?.hosts.find(({ name }) => name === host(node).name);
          return found !== undefined && found.leaderPid !== was && found;
        });
        hosts.set(node, booted);
        await eventually("it runs programs", () => inHost(node, "systemctl", "is-active", "skerry-agent"));
      },
      killServer: async () => {
        if (control !== undefined) process.kill(control.process.pid, "SIGKILL");
        await control?.process.stop();
        control = await start();
      },
      killAgent: async (node) => void (await inHost(node, "systemctl", "kill", "--signal=KILL", "skerry-agent")),
      cut: async (how) => {
        const { address } = host("beta");
        const verdict = how === "drop" ? "drop" : "reject with tcp reset";
        const rules = [
          `add chain inet cut input { type filter hook input priority -300; }`,
          `add chain inet cut output { type filter hook output priority -300; }`,
          `add rule inet cut input ip saddr ${address} meta l4proto tcp ${verdict}`,
          `add rule inet cut output ip daddr ${address} meta l4proto tcp ${verdict}`,
        ];
        await inHost("alpha", "nft", ["add table inet cut", ...rules].join("; "));
        return async () => void (await inHost("alpha", "nft", "delete table inet cut"));
      },
      cutOff: async (node) => {
        const chain = (hook: string, way: string): string =>
          `add chain inet island ${hook} { type filter hook ${hook} priority -300; policy drop; }; ` +
          `add rule inet island ${hook} ${way} lo accept`;
        await inHost(node, "nft", `add table inet island; ${chain("input", "iif")}; ${chain("output", "oif")}`);
        return async () => void (await inHost(node, "nft", "delete table inet island"));
      },
      leaveAgentDead: async (node) => {
        const folder = "/run/systemd/system/skerry-agent.service.d";
        await inHost(node, "sh", "-c", `mkdir -p ${folder} && printf '[Service]\nRestart=no\n' > ${folder}/dead.conf`);
        await inHost(node, "systemctl", "daemon-reload");
        await inHost(node, "systemctl", "kill", "--signal=KILL", "skerry-agent");
        return async () => {
          await inHost(node, "rm", "-r", folder);
          await inHost(node, "systemctl", "daemon-reload");
          await inHost(node, "systemctl", "restart", "skerry-agent");
        };
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function furnish(client: Client, image: GuestImage): Promise<void> {
  await client.put("Organisation", { name: "lab" }, { spec: {} });
  await client.put("Project", { name: project }, { spec: { organisation: "lab" } });
  await client.put("Network", { project, name: "lan" }, { spec: { cidr: "10.42.0.0/24" } });
  const key = { project, name: "disk" };
  const spec = await imageFlags.spec(
    { file: image.path, format: "qcow2", architecture: "x86_64" },
    AbortSignal.timeout(60_000),
  );
  await client.put("Image", key, { spec });
  const content = Readable.toWeb(createReadStream(image.path)) as ReadableStream<Uint8Array>;
  await client.uploadImage(key, content, spec.sizeBytes);
}

/** Makes a provider with one site and turns its host into the site's node. @returns the milliseconds of provisioning */
async function provision(
  client: Client,
  name: NodeName,
  host: TestbedHost,
  ssh: { readonly user: string; readonly privateKey: string },
): Promise<number> {
  const parse = parserOf(kinds.Provider.spec, "provider");
  await client.put("Provider", { name }, { spec: parse({ driver: "ssh", country: "ES", ssh }) });
  const site = { provider: name, country: "ES", latitude: 40, longitude: -3, tier: "cloud" as const };
  await client.put("Site", { name }, { spec: site });
  const { address, hostKeyFingerprint } = host;
  await client.put("Node", { name }, { spec: { site: name, address, hostKeyFingerprint, capacityOverride: share } });
  const from = performance.now();
  const { operation } = await client.action("Node", { name }, "provision");
  if (operation === undefined) throw new Error("provisioning started no operation");
  const { status } = await client.waitForOperation(operation.metadata.name, quiet, AbortSignal.timeout(120_000));
  if (status.problem !== undefined) throw fromProblem(status.problem);
  return Math.round(performance.now() - from);
}

async function enter(host: TestbedHost, argv: readonly string[]): Promise<string> {
  const all = ["--mount", "--uts", "--ipc", "--net", "--pid"];
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  execFile(
    "nsenter",
    [`--target=${host.leaderPid}`, ...all, ...argv],
    { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C.UTF-8" }, timeout: 60_000 },
    (error, stdout, stderr) =>
      error === null ? resolve(stdout) : reject(new Error(`${argv.join(" ")}: ${stderr}`, { cause: error })),
  );
  return promise;
}

/** Process ids, on this machine, of the QEMUs that run a guest; all hosts share one kernel. */
export async function processesOf(instanceId: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    // Processes end while they are looked through.
    const words = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    if (words[0]?.includes("qemu-system") === true && words.some((word) => word.startsWith(`guest=${instanceId},`)))
      found.push(Number(pid));
  }
  return found;
}

export const islet = parserOf(
  kinds.Instance.spec,
  "instance",
)({
  image: "disk",
  vcpus: 1,
  memoryMiB: 96,
  networks: ["lan"],
  healthCheck: { kind: "http", port: 80, path: "/" },
} satisfies Partial<InstanceResource["spec"]>);
