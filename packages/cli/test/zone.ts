import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createReadStream, openSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { kinds, parserOf, type OperationResource } from "@skerry/model";
import type { Client, Mutation } from "@skerry/sdk";
import { createNodeClient } from "@skerry/sdk/node";
import { openPath, type CuttablePath } from "@skerry/testkit";
import { imageFlags } from "../src/commands/image-flags.ts";

const program = fileURLToPath(new URL("../src/main.ts", import.meta.url));
export const project = "lab";
export const nodeNames = ["alpha", "beta"] as const;
export type NodeName = (typeof nodeNames)[number];
export type Role = "server" | NodeName;

/** A whole zone of real processes with simulated guests: a server and two nodes of two providers, each killable. */
export interface Zone {
  readonly client: Client;
  readonly folder: string;
  /** What tells a command of its own where the server is and who asks. */
  readonly environment: Readonly<Record<string, string>>;
  /** SIGKILL, then a new process over the same data, at once. */
  killAndRestart(role: Role): Promise<void>;
  /** SIGTERM; resolves when it has ended in good order. */
  stop(role: Role): Promise<void>;
  /** SIGSTOP and SIGCONT: it hangs, with its connections open, and goes on. */
  pause(role: Role): void;
  resume(role: Role): void;
  /** What a node's agent reaches the server by. */
  path(name: NodeName): CuttablePath;
  close(): Promise<void>;
}

export async function startZone(imageBytes: number): Promise<Zone> {
  const folder = await mkdtemp(join(tmpdir(), "skerry-zone-"));
  const [serverPort = 0, ...dataPorts] = await freePorts(3);
  const server = `https://127.0.0.1:${serverPort}`;
  const paths = { alpha: await openPath(serverPort), beta: await openPath(serverPort) };
  const processes = new Map<Role, ChildProcess>();
  const commands: Record<Role, readonly string[]> = {
    server: ["server", "--data-dir", join(folder, "server"), "--listen", `127.0.0.1:${serverPort}`],
    alpha: agentCommand("alpha", dataPorts[0] ?? 0),
    beta: agentCommand("beta", dataPorts[1] ?? 0),
  };
  function agentCommand(name: NodeName, port: number): readonly string[] {
    return [
      "agent",
      "run",
      "--data-dir",
      join(folder, name),
      "--driver",
      "simulated",
      "--server",
      `https://127.0.0.1:${paths[name].port}`,
      "--token-file",
      join(folder, `${name}.token`),
      "--data-address",
      `127.0.0.1:${port}`,
    ];
  }
  const start = (role: Role): void => {
    const log = openSync(join(folder, `${role}.log`), "a");
    processes.set(
      role,
      spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, ...commands[role]], {
        stdio: ["ignore", log, log],
      }),
    );
  };
  const end = async (role: Role, signal: NodeJS.Signals): Promise<void> => {
    const child = processes.get(role);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  };
  const kill = (role: Role): Promise<void> => end(role, "SIGKILL");

  start("server");
  const client = await eventually("the server answers", async () => {
    const connected = createNodeClient({
      server,
      token: (await readFile(join(folder, "server/admin.token"), "utf8")).trim(),
      authority: await readFile(join(folder, "server/pki/ca.pem"), "utf8"),
    });
    await connected.list("Project");
    return connected;
  });
  await client.put("Organisation", { name: "lab" }, { spec: {} });
  await client.put("Project", { name: project }, { spec: { organisation: "lab" } });
  await client.put("Network", { project, name: "lan" }, { spec: { cidr: "10.42.0.0/24" } });
  const image = join(folder, "image.raw");
  await writeFile(image, randomBytes(imageBytes));
  const spec = await imageFlags.spec(
    { file: image, format: "raw", architecture: "x86_64" },
    AbortSignal.timeout(10_000),
  );
  await client.put("Image", { project, name: "disk" }, { spec });
  await client.uploadImage(
    { project, name: "disk" },
    Readable.toWeb(createReadStream(image)) as ReadableStream<Uint8Array>,
    imageBytes,
  );
  for (const name of nodeNames) {
    await client.put("Provider", { name }, { spec: { driver: "manual", country: "ES" } });
    await client.put(
      "Site",
      { name },
      { spec: { provider: name, country: "ES", latitude: 40, longitude: -3, tier: "cloud" } },
    );
    const { secret = "" } = await client.put("JoinToken", { name }, { spec: { site: name, node: name } });
    await writeFile(join(folder, `${name}.token`), secret, { mode: 0o600 });
    start(name);
  }
  await eventually(
    "both nodes report",
    async () => (await client.listAll("Node")).filter((node) => node.status.facts !== undefined).length === 2,
  );

  return {
    client,
    folder,
    environment: {
      SKERRY_SERVER: server,
      SKERRY_TOKEN_FILE: join(folder, "server/admin.token"),
      SKERRY_AUTHORITY: join(folder, "server/pki/ca.pem"),
    },
    killAndRestart: async (role) => {
      await kill(role);
      start(role);
    },
    stop: (role) => end(role, "SIGTERM"),
    pause: (role) => void processes.get(role)?.kill("SIGSTOP"),
    resume: (role) => void processes.get(role)?.kill("SIGCONT"),
    path: (name) => paths[name],
    close: async () => {
      await Promise.all([...processes.keys()].map(kill));
      await Promise.all(Object.values(paths).map((path) => path[Symbol.asyncDispose]()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export const workload = parserOf(
  kinds.Instance.spec,
  "instance",
)({
  image: "disk",
  vcpus: 1,
  memoryMiB: 64,
  networks: ["lan"],
  healthCheck: { kind: "http", port: 80, path: "/" },
});

/** The ended operation of a mutation. */
export async function ended<K extends "Instance">(
  client: Client,
  mutation: Mutation<K>,
  onChange: (operation: OperationResource) => void = () => undefined,
): Promise<OperationResource> {
  if (mutation.operation === undefined) throw new Error("no operation was started");
  return client.waitForOperation(mutation.operation.metadata.name, onChange, AbortSignal.timeout(120_000));
}

/** Asks again until the answer is truthy, at most a minute or as long as told; errors count as not yet. */
export async function eventually<T>(
  what: string,
  question: () => Promise<T | false | undefined>,
  limitMs = 60_000,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    let reason: unknown;
    try {
      const answer = await question();
      if (answer !== undefined && answer !== false) return answer;
    } catch (error) {
      reason = error;
    }
    if (performance.now() > deadline) throw new Error(`not within ${limitMs / 1000} s: ${what}`, { cause: reason });
    await delay(50);
  }
}

export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const probe = createServer().listen(0, "127.0.0.1");
      await once(probe, "listening");
      return probe;
    }),
  );
  const ports = servers.map((probe) => (probe.address() as AddressInfo).port);
  for (const probe of servers) probe.close();
  return ports;
}
