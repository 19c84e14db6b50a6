/**
 * What the API does in a process of its own, over TLS, against clients in another: durable creates of an instance with one
 * volume, one network interface and cloud-init user data; reads; memory; starts. Beside it, in the same run on the same disk,
 * bare SQLite's group commits. Nodes are linked and take their wanted states, but carry nothing out. A whole run keeps its figures
 * in bench/results/api.json.
 *
 *   ./skerry bench api [--json] [--seconds 8] [--runs 3] [--folder PATH] [--only create,read,start,million]
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeMachine } from "@skerry/testkit";
import { seed, type Fixture } from "./api/fixture.ts";
import type { LoadResult, LoadTask } from "./api/load-process.ts";
import type { ServerFigures, ServerQuestion, ServerReady } from "./api/server-process.ts";
import { measureGroupCommit } from "./api/group-commit.ts";

const allParts = ["create", "read", "start", "million"] as const;
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "8" },
    runs: { type: "string", default: "3" },
    folder: { type: "string", default: tmpdir() },
    only: { type: "string", default: allParts.join() },
    million: { type: "string", default: "1000000" },
    json: { type: "boolean", default: false },
    /** Flags of Node for the server, for profiles. */
    "server-flags": { type: "string", default: "" },
  },
});
const seconds = Number(values.seconds);
const runs = Number(values.runs);
const parts = new Set<string>(values.only.split(","));
const note = (text: string): void => void process.stderr.write(`${text}\n`);

class Zone implements AsyncDisposable {
  readonly fixture: Fixture;
  readonly ready: ServerReady;
  /** From the fork of the process until it serves. */
  readonly startMs: number;
  readonly #server: ChildProcess;
  readonly #load: ChildProcess;
  readonly #authority: string;
  readonly #token: string;
  #fleet: ChildProcess | undefined;

  private constructor(fixture: Fixture, server: ChildProcess, ready: ServerReady, startMs: number) {
    this.fixture = fixture;
    this.ready = ready;
    this.startMs = startMs;
    this.#server = server;
    this.#load = child("load-process.ts");
    this.#authority = readFileSync(ready.caFile, "utf8");
    this.#token = readFileSync(ready.adminTokenFile, "utf8").trim();
  }

  static async start(dataDir: string, fixture: Fixture): Promise<Zone> {
    const begun = performance.now();
    const flags = values["server-flags"].split(" ").filter((flag) => flag !== "");
    const server = child("server-process.ts", [dataDir], flags);
    const [ready] = (await answer(server)) as [ServerReady];
    return new Zone(fixture, server, ready, performance.now() - begun);
  }

  async link(count = this.fixture.nodes.length): Promise<void> {
    const fleet = child("fleet-process.ts", [], [], { NODE_EXTRA_CA_CERTS: this.ready.caFile });
    this.#fleet = fleet;
    fleet.send({ port: this.ready.port, nodes: this.fixture.nodes.slice(0, count) });
    await answer(fleet);
  }

  async ask(question: ServerQuestion): Promise<ServerFigures> {
    this.#server.send(question);
    return ((await answer(this.#server)) as [ServerFigures])[0];
  }

  async load(what: LoadTask["what"], outstanding: number, limit = seconds): Promise<LoadResult> {
    const task: LoadTask = {
      port: this.ready.port,
      authority: this.#authority,
      token: this.#token,
      projects: this.fixture.projects,
      what,
      outstanding,
      seconds: limit,
    };
    this.#load.send(task);
    return ((await answer(this.#load)) as [LoadResult])[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#fleet?.kill("SIGKILL");
    this.#load.kill();
    if (this.#server.exitCode !== null) return;
    const gone = once(this.#server, "exit");
    if (this.#server.connected) this.#server.send("close" satisfies ServerQuestion);
    await gone;
  }
}

function child(
  file: string,
  argv: readonly string[] = [],
  flags: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): ChildProcess {
  return fork(join(import.meta.dirname, "api", file), argv, {
    // As the launcher starts a server.
    execArgv: [...process.execArgv, "--expose-gc", ...flags],
    env: { ...process.env, ...environment },
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
}

async function answer(process: ChildProcess): Promise<unknown[]> {
  const ended = new AbortController();
  const exit = once(process, "exit", { signal: ended.signal }).then(() => {
    throw new Error(`${process.spawnargs.at(-1)} ended with ${process.exitCode}`);
  });
  exit.catch(() => undefined);
  try {
    return (await Promise.race([once(process, "message"), exit])) as unknown[];
  } finally {
    ended.abort();
  }
}

async function inFolder<T>(work: (dataDir: string) => Promise<T>): Promise<T> {
  const dataDir = mkdtempSync(join(values.folder, "skerry-bench-api-"));
  try {
    return await work(dataDir);
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

const linkedOfMillion = 200;
const raw: Record<string, unknown> = {};
const figures: Record<string, number> = {};

async function measureTenThousand(): Promise<void> {
  await inFolder(async (dataDir) => {
    const fixture = await seed(dataDir, 10_000);
    await using zone = await Zone.start(dataDir, fixture);
    await zone.link();
    if (parts.has("read")) {
      const item = Array.from({ length: 997 }, (_, at) => {
        const index = (at * 7919) % 10_000;
        return `/api/v1/projects/p${index % fixture.projects}/instances/web-${index}`;
      });
      await zone.load({ get: ["/api/v1/instances?limit=2000"] }, 1, 1);
      const page = await zone.load({ get: ["/api/v1/instances?limit=2000"] }, 1, 4);
      const get = await zone.load({ get: item }, 1, 3);
      const after = await zone.ask("collect");
      raw["page"] = page;
      raw["get"] = get;
      raw["after10k"] = after;
      Object.assign(figures, { page2000Ms: page.p50Ms, getMs: get.p50Ms, residentMiB10k: after.residentMiB });
      note(`page ${JSON.stringify(page)}\nget ${JSON.stringify(get)}\nserver ${JSON.stringify(after)}`);
    }
    if (parts.has("create")) {
      await zone.load({ create: "warm" }, 8, 2);
      const serial: LoadResult[] = [];
      const parallel: LoadResult[] = [];
      const bare: number[] = [];
      for (let run = 0; run < runs; run++) {
        // In turn, so that all meet the same disturbances.
        const before = await zone.ask("reset");
        serial.push(await zone.load({ create: `one-${run}` }, 1));
        parallel.push(await zone.load({ create: `many-${run}` }, 128));
        bare.push(await inFolder((folder) => Promise.resolve(measureGroupCommit(join(folder, "bare.db"), 128, 2000))));
        const after = await zone.ask("figures");
        note(
          `serial ${JSON.stringify(serial.at(-1))}\nparallel ${JSON.stringify(parallel.at(-1))}\n` +
            `bare ${bare.at(-1)}/s; server ${JSON.stringify(after)}, CPU ${after.cpuMs - before.cpuMs} ms; load ${loadavg()
              .map((n) => n.toFixed(1))
              .join(" ")}`,
        );
      }
      raw["creates1"] = serial;
      raw["creates8"] = parallel;
      raw["bareSqlite"] = bare;
      raw["afterCreates"] = await zone.ask("collect");
      Object.assign(figures, {
        createsPerSecond1: median(serial.map((run) => run.perSecond)),
        createsPerSecond8: median(parallel.map((run) => run.perSecond)),
        createP99Ms: median(parallel.map((run) => run.p99Ms)),
        walCommitsPerSecond: median(bare),
      });
    }
  });
}

async function measureStart(): Promise<void> {
  await inFolder(async (dataDir) => {
    const fixture = await seed(dataDir, 11_000);
    const starts: number[] = [];
    for (let run = 0; run <= runs; run++) {
      await using zone = await Zone.start(dataDir, fixture);
      note(`start with 11,000: ${Math.round(zone.startMs)} ms`);
      // The first makes keys and fills caches.
      if (run > 0) starts.push(Math.round(zone.startMs));
    }
    raw["starts11k"] = starts;
    figures["start11kMs"] = median(starts);
  });
}

async function measureMillion(): Promise<void> {
  await inFolder(async (dataDir) => {
    const count = Number(values.million);
    const begun = performance.now();
    // A hundred instances on each node, as edge sites have them; as many nodes are linked as one process here may link.
    const fixture = await seed(dataDir, count, Math.max(100, Math.ceil(count / 100)));
    note(`seeded ${count} in ${Math.round(performance.now() - begun)} ms`);
    await using zone = await Zone.start(dataDir, fixture);
    const started = zone.ready.figures;
    note(`start ${Math.round(zone.startMs)} ms; ${JSON.stringify(started)}`);
    await zone.ask("reset");
    await zone.link(linkedOfMillion);
    const linked = await zone.ask("figures");
    await zone.ask("reset");
    const creates = await zone.load({ create: "new" }, 128);
    const page = await zone.load({ get: ["/api/v1/instances?limit=2000"] }, 1, 4);
    const tenant = await zone.load({ get: ["/api/v1/projects/p7/instances?limit=100"] }, 1, 2);
    const working = await zone.ask("figures");
    raw["million"] = { count, startMs: zone.startMs, started, linked, creates, page, tenant, working };
    note(
      `creates ${JSON.stringify(creates)}\npage ${JSON.stringify(page)}\ntenant ${JSON.stringify(tenant)}\n` +
        `linked ${JSON.stringify(linked)}\nworking ${JSON.stringify(working)}`,
    );
    figures["start1mMs"] = Math.round(zone.startMs);
    // From when it serves: nobody waits for anything else while it starts, and how long that takes is told above.
    figures["longestPauseMs1m"] = Math.max(linked.longestPauseMs, working.longestPauseMs);
    figures["residentMiB1m"] = working.residentMiB;
  });
}

const loadBefore = loadavg();
if (parts.has("read") || parts.has("create")) await measureTenThousand();
if (parts.has("start")) await measureStart();
if (parts.has("million")) await measureMillion();

const machine = describeMachine();
const report = {
  benchmark: "api",
  driver: "simulated: nodes are linked and carry nothing out",
  date: new Date().toISOString(),
  machine,
  loadAverage: { before: loadBefore, after: loadavg() },
  figures,
  raw,
};
// A run of a part keeps nothing: it would take the place of a whole one.
if (allParts.every((part) => parts.has(part))) {
  const results = join(import.meta.dirname, "results");
  mkdirSync(results, { recursive: true });
  writeFileSync(join(results, "api.json"), `${JSON.stringify(report, null, 2)}\n`);
}
if (values.json) process.stdout.write(`${JSON.stringify(figures)}\n`);
else
  process.stdout.write(
    Object.entries(figures)
      .map(([name, value]) => `${name.padEnd(22)} ${value}\n`)
      .join(""),
  );
