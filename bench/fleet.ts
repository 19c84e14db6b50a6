/**
 * A control plane in a process of its own and simulated nodes in others, linked over TLS as agents are. First: how long instances take
 * from the first request until the last one runs, asked for one by one with 64 requests under way. Then what so many linked nodes cost
 * that only beat: processor time and memory of all processes. Keeps its figures in bench/results/fleet.json.
 *
 *   ./skerry bench fleet [--nodes 1000] [--instances 1000] [--on 100] [--boot 100] [--seconds 30] [--runs 3] [--json]
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { makeInstances, makeProject, planFleet, startFleet, type Fleet } from "@skerry/fleet";
import { createNodeClient } from "@skerry/sdk/node";
import type { Client } from "@skerry/sdk";
import { describeMachine } from "@skerry/testkit";
import type { ServerFigures, ServerQuestion, ServerReady } from "./api/server-process.ts";

const { values } = parseArgs({
  options: {
    nodes: { type: "string", default: "1000" },
    instances: { type: "string", default: "1000" },
    on: { type: "string", default: "100" },
    boot: { type: "string", default: "100" },
    seconds: { type: "string", default: "30" },
    runs: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
    /** Flags of Node for the server, for profiles. */
    "server-flags": { type: "string", default: "" },
  },
});
const [nodes, instances, on] = [Number(values.nodes), Number(values.instances), Number(values.on)];
const bootMs = Number(values.boot);
const patience = AbortSignal.timeout(30 * 60_000);
const note = (text: string): void => void process.stderr.write(`${text}\n`);

class Zone implements AsyncDisposable {
  readonly client: Client;
  readonly #ready: ServerReady;
  readonly #server: ChildProcess;
  readonly #folder: string;

  private constructor(folder: string, server: ChildProcess, ready: ServerReady) {
    this.#folder = folder;
    this.#server = server;
    this.#ready = ready;
    this.client = createNodeClient({ server: this.url, authority: this.authority, token: read(ready.adminTokenFile) });
  }

  static async start(): Promise<Zone> {
    const folder = mkdtempSync(join(tmpdir(), "skerry-bench-fleet-"));
    const flags = values["server-flags"].split(" ").filter((flag) => flag !== "");
    const server = fork(join(import.meta.dirname, "api/server-process.ts"), [folder], {
      execArgv: [...process.execArgv, ...flags],
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const [ready] = (await once(server, "message")) as [ServerReady];
    return new Zone(folder, server, ready);
  }

  get url(): string {
    return `https://127.0.0.1:${this.#ready.port}`;
  }

  get authority(): string {
    return read(this.#ready.caFile);
  }

  async ask(question: ServerQuestion): Promise<ServerFigures> {
    this.#server.send(question);
    const [figures] = (await once(this.#server, "message")) as [ServerFigures];
    return figures;
  }

  link(count: number, seed: number): Promise<Fleet> {
    const plan = planFleet({ nodes: count, sites: 24, seed, bootMs: [bootMs, bootMs], parts: {} });
    return startFleet(
      plan,
      {
        client: this.client,
        server: this.url,
        authority: this.authority,
        identities: new Map(),
        onJoined: () => undefined,
        onFailed: (name, message) => note(`${name}: ${message}`),
      },
      patience,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = once(this.#server, "exit");
    this.#server.send("close" satisfies ServerQuestion);
    await gone;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function read(path: string): string {
  return readFileSync(path, "utf8").trim();
}

/** Resolves once so many instances of a name's beginning are told to run. */
async function running(client: Client, begins: string, count: number, since: number): Promise<void> {
  const seen = new Set<string>();
  for await (const { object } of client.watch(since, patience, ["Instance"])) {
    if (object.kind !== "Instance" || !object.metadata.name.startsWith(begins)) continue;
    if (object.status.state === "running") seen.add(object.metadata.name);
    if (seen.size === count) return;
  }
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

const raw: Record<string, unknown> = {};
const figures: Record<string, number> = { nodes, instances };
const loadBefore = loadavg();

{
  await using zone = await Zone.start();
  const fleet = await zone.link(on, 1);
  await fleet.until((counts) => counts.linked === on, patience);
  await makeProject(zone.client, patience);
  const took: number[] = [];
  const asked: number[] = [];
  for (let run = 0; run < Number(values.runs); run++) {
    const { revision } = await zone.client.list("Instance", { limit: 1 });
    const names = Array.from({ length: instances }, (_, index) => `run${run}-${index}`);
    const all = running(zone.client, `run${run}-`, instances, revision);
    const startMs = performance.now();
    const made = await makeInstances(zone.client, names, (refusal) => refusal && note(refusal.message), patience);
    asked.push(Math.round(performance.now() - startMs));
    if (made !== instances) throw new Error(`${instances - made} instances were refused`);
    await all;
    took.push(Math.round(performance.now() - startMs));
    note(`${instances} run on ${on} nodes after ${took.at(-1)} ms; they were asked for in ${asked.at(-1)} ms`);
  }
  raw["running"] = { took, asked, on, bootMs };
  if (instances === 1000) figures["toRunning1000Ms"] = median(took);
  figures["instancesPerSecond"] = Math.round((instances / median(took)) * 1000);
  await fleet.close();
}
{
  await using zone = await Zone.start();
  const startMs = performance.now();
  const fleet = await zone.link(nodes, 2);
  const joined = await fleet.until((counts) => counts.linked === nodes, patience);
  const joinMs = performance.now() - startMs;
  note(`${nodes} nodes have joined and are linked after ${Math.round(joinMs)} ms`);
  const before = { server: await zone.ask("figures"), fleet: fleet.counts() };
  await new Promise((resolve) => setTimeout(resolve, Number(values.seconds) * 1000));
  const after = { server: await zone.ask("figures"), fleet: fleet.counts() };
  const cpuMs = after.server.cpuMs - before.server.cpuMs + (after.fleet.cpuMs - before.fleet.cpuMs);
  raw["steady"] = { joinMs, joined, before, after, seconds: Number(values.seconds) };
  figures["connected"] = after.fleet.linked;
  figures["cores"] = Number((cpuMs / Number(values.seconds) / 1000).toFixed(3));
  figures["residentGiB"] = Number((after.server.residentMiB / 1024 + after.fleet.residentBytes / 2 ** 30).toFixed(3));
  note(`steady: ${JSON.stringify(after)}`);
  await fleet.close();
}

const report = {
  benchmark: "fleet",
  driver: "simulated: nodes speak the real protocol over TLS, and have no guests",
  date: new Date().toISOString(),
  machine: describeMachine(),
  loadAverage: { before: loadBefore, after: loadavg() },
  figures,
  raw,
};
const results = join(import.meta.dirname, "results");
mkdirSync(results, { recursive: true });
writeFileSync(join(results, "fleet.json"), `${JSON.stringify(report, null, 2)}\n`);
if (values.json) process.stdout.write(`${JSON.stringify(figures)}\n`);
else
  process.stdout.write(
    Object.entries(figures)
      .map(([name, value]) => `${name.padEnd(22)} ${value}\n`)
      .join(""),
  );
process.exit(0);
