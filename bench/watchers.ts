/**
 * Thousands of watchers of the event stream, over TLS, each seeing every change of its project once and in order while changes are
 * written through the API. Fails where one watcher of one project saw anything else than what was written there. Beside it, in the
 * same run, a bare server of Node's TLS that writes the same bytes to as many sockets. Processor times are microseconds for each.
 * Keeps its figures in bench/results/watchers.json.
 *
 *   ./skerry bench watchers [--watchers 10000] [--rate 500] [--seconds 20] [--projects 100] [--json]
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { seed } from "./api/fixture.ts";
import { HttpConnection } from "./api/http-connection.ts";
import type { ServerFigures, ServerReady } from "./api/server-process.ts";
import type { BareTask } from "./watchers/bare-server.ts";
import { hashOn, type Seen, type WatchTask } from "./watchers/watcher-process.ts";

const { values } = parseArgs({
  options: {
    watchers: { type: "string", default: "10000" },
    rate: { type: "string", default: "500" },
    seconds: { type: "string", default: "20" },
    projects: { type: "string", default: "100" },
    json: { type: "boolean", default: false },
    /** Flags of Node for the server and for the watchers, for profiles. */
    "server-flags": { type: "string", default: "" },
    "watcher-flags": { type: "string", default: "" },
  },
});
const watchers = Number(values.watchers);
const changes = Number(values.rate) * Number(values.seconds);
const projects = Number(values.projects);
const processes = 4;

function child(file: string, flags: string, ...argv: string[]): ChildProcess {
  const more = flags.split(" ").filter((flag) => flag !== "");
  const made = fork(join(import.meta.dirname, file), argv, {
    // As the launcher starts a server.
    execArgv: [...process.execArgv, ...more],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  opened.add(made);
  return made;
}

function answer<T>(from: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = (message: unknown): void => {
      from.off("exit", ended);
      resolve(message as T);
    };
    const ended = (): void => {
      from.off("message", settle);
      reject(new Error(`${from.spawnargs.at(-1)} ended with ${from.exitCode}`));
    };
    from.once("message", settle);
    from.once("exit", ended);
  });
}

const dataDir = mkdtempSync(join(tmpdir(), "skerry-bench-watchers-"));
const opened = new Set<ChildProcess>();

async function cpuMsOf(processes: readonly ChildProcess[]): Promise<number> {
  for (const process of processes) process.send("figures");
  const all = await Promise.all(processes.map((process) => answer<{ readonly cpuMs: number }>(process)));
  return all.reduce((sum, { cpuMs }) => sum + cpuMs, 0);
}

async function end(processes: readonly ChildProcess[]): Promise<void> {
  const gone = processes.map((process) => once(process, "exit"));
  for (const process of processes) process.send("close");
  await Promise.all(gone);
  for (const process of processes) opened.delete(process);
}

/** All watchers of a server, in processes of their own; what they and the server take is told by phase. */
class Crowd {
  readonly connectMs: number;
  readonly #server: ChildProcess;
  readonly #readers: readonly ChildProcess[];
  /** Of the server and of the readers, as of when all were connected. */
  readonly #connectedCpuMs: readonly [number, number];
  readonly #serverCpuMs: number;

  private constructor(
    server: ChildProcess,
    readers: readonly ChildProcess[],
    connectMs: number,
    cpuMs: readonly number[],
  ) {
    this.#server = server;
    this.#readers = readers;
    this.connectMs = connectMs;
    const [begun = 0, connected = 0, reading = 0] = cpuMs;
    this.#serverCpuMs = begun;
    this.#connectedCpuMs = [connected, reading];
  }

  static async connect(server: ChildProcess, port: number, tokens: readonly string[], since: number): Promise<Crowd> {
    const readers = Array.from({ length: processes }, () =>
      child("watchers/watcher-process.ts", values["watcher-flags"]),
    );
    const begun = await cpuMsOf([server]);
    const startMs = performance.now();
    const each = Math.ceil(watchers / projects / processes);
    for (const reader of readers) {
      const wishes = tokens.map((token, index) => ({ name: `p${index}`, token, watchers: each }));
      reader.send({ port, since, projects: wishes } satisfies WatchTask);
    }
    await Promise.all(readers.map((reader) => answer(reader)));
    const connectMs = Math.round(performance.now() - startMs);
    return new Crowd(server, readers, connectMs, [begun, await cpuMsOf([server]), await cpuMsOf(readers)]);
  }

  /** What each has seen, once all is right or nothing more can be hoped for. */
  async seen(isRight: (one: Seen) => boolean): Promise<readonly Seen[]> {
    const deadline = performance.now() + 60_000;
    for (;;) {
      for (const reader of this.#readers) reader.send("count");
      const seen = (await Promise.all(this.#readers.map((reader) => answer<Seen[]>(reader)))).flat();
      if (seen.every(isRight) || performance.now() > deadline) return seen;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  /** Microseconds of processor time since all were connected, and before. */
  async costs(delivered: number): Promise<Record<"handshakeUs" | "deliveryUs" | "readUs", number>> {
    const [connected, reading] = this.#connectedCpuMs;
    const us = (cpuMs: number, count: number): number => Number(((cpuMs * 1000) / count).toFixed(1));
    return {
      handshakeUs: us(connected - this.#serverCpuMs, watchers),
      deliveryUs: us((await cpuMsOf([this.#server])) - connected, delivered),
      readUs: us((await cpuMsOf(this.#readers)) - reading, delivered),
    };
  }

  end(): Promise<void> {
    return end(this.#readers);
  }
}

/** Whether each watcher saw what was written to its project: so many revisions, with that hash. */
function judge(written: readonly (readonly number[])[]): (one: Seen) => boolean {
  const expected = new Map(
    written.map((revisions, index) => {
      const hash = revisions.toSorted((one, other) => one - other).reduce(hashOn, 0x811c9dc5);
      return [`p${index}`, { count: revisions.length, hash }];
    }),
  );
  return ({ project, count, hash, disordered }) =>
    disordered === 0 && count === expected.get(project)?.count && hash === expected.get(project)?.hash;
}

/** The project of the change with that number. */
const projectOf = (serial: number): number => (serial * 37) % projects;

async function measureServer() {
  const server = child("api/server-process.ts", values["server-flags"], dataDir);
  const { port, caFile, adminTokenFile } = await answer<ServerReady>(server);
  const authority = readFileSync(caFile, "utf8");
  const admin = readFileSync(adminTokenFile, "utf8").trim();
  const first = await HttpConnection.open(port, authority);
  const put = (method: string, path: string, type: string, body: object): string => {
    const text = JSON.stringify(body);
    const head = `host: 127.0.0.1\r\nauthorization: Bearer ${admin}\r\ncontent-type: ${type}\r\n`;
    return `${method} ${path} HTTP/1.1\r\n${head}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
  };
  const tokens: string[] = [];
  for (let index = 0; index < projects; index++) {
    const spec = { role: "viewer", project: `p${index}` };
    const { body } = await first.ask(put("PUT", `/api/v1/api-tokens/watch-${index}`, "application/json", { spec }));
    tokens.push((JSON.parse(body.toString()) as { secret: string }).secret);
  }
  const { body } = await first.ask(
    `GET /api/v1/projects HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${admin}\r\n\r\n`,
  );
  const since = (JSON.parse(body.toString()) as { revision: number }).revision;
  const crowd = await Crowd.connect(server, port, tokens, since);
  // Not before: the server closes connections that are idle for long.
  const connections = await Promise.all(Array.from({ length: 32 }, () => HttpConnection.open(port, authority)));
  server.send("reset");
  await answer(server);

  const written = Array.from({ length: projects }, (): number[] => []);
  let frameBytes = 0;
  const writeStart = performance.now();
  let next = 0;
  await Promise.all(
    connections.map(async (connection) => {
      for (let serial = next++; serial < changes; serial = next++) {
        // Due at a steady rate, however long each takes.
        const dueMs = writeStart + (serial / Number(values.rate)) * 1000;
        const waitMs = dueMs - performance.now();
        if (waitMs > 1) await new Promise((resolve) => setTimeout(resolve, waitMs));
        const project = projectOf(serial);
        const patch = { metadata: { labels: { serial: String(serial) } } };
        const answered = await connection.ask(
          put("PATCH", `/api/v1/projects/p${project}`, "application/merge-patch+json", patch),
        );
        if (answered.status !== 200) throw new Error(answered.body.toString());
        const { resource } = JSON.parse(answered.body.toString()) as { resource: { metadata: { revision: number } } };
        const { revision } = resource.metadata;
        written[project]?.push(revision);
        const data = { revision, type: "updated", object: resource };
        frameBytes = `id: ${revision}\nevent: change\ndata: ${JSON.stringify(data)}\n\n`.length;
      }
    }),
  );
  const writeMs = performance.now() - writeStart;
  const isRight = judge(written);
  const seen = await crowd.seen(isRight);
  const lastDeliveredAfterMs = Math.round(performance.now() - writeStart - writeMs);
  const delivered = seen.reduce((sum, { count }) => sum + count, 0);
  const costs = await crowd.costs(delivered);
  server.send("figures");
  const { residentMiB, longestPauseMs, cpuMs } = await answer<ServerFigures>(server);
  for (const connection of connections) connection.close();
  await crowd.end();
  await end([server]);
  const wrong = seen.filter((one) => !isRight(one));
  if (wrong.length > 0) process.stderr.write(`one of those who are wrong: ${JSON.stringify(wrong[0])}\n`);
  const figures = {
    watchers: seen.length,
    changes,
    changesPerSecond: Math.round((changes / writeMs) * 1000),
    delivered,
    wrongWatchers: wrong.length,
    connectMs: crowd.connectMs,
    lastDeliveredAfterMs,
    serverResidentMiB: residentMiB,
    serverLongestPauseMs: longestPauseMs,
    serverCpuMs: cpuMs,
    ...costs,
  };
  return { figures, frameBytes, tokens, since };
}

/** The same watchers, bytes and rate at a server that does nothing else. */
async function measureBare({ frameBytes, tokens, since }: Awaited<ReturnType<typeof measureServer>>) {
  const server = child("watchers/bare-server.ts", "", dataDir);
  const { port } = await answer<{ readonly port: number }>(server);
  const crowd = await Crowd.connect(server, port, tokens, since);
  const startMs = performance.now();
  server.send({ tokens, since, changes, perSecond: Number(values.rate), frameBytes } satisfies BareTask);
  await answer(server);
  const writeMs = performance.now() - startMs;
  const written = Array.from({ length: projects }, (): number[] => []);
  for (let serial = 0; serial < changes; serial++) written[projectOf(serial)]?.push(since + 1 + serial);
  const seen = await crowd.seen(judge(written));
  const { handshakeUs, deliveryUs } = await crowd.costs(seen.reduce((sum, { count }) => sum + count, 0));
  await crowd.end();
  await end([server]);
  const bareChangesPerSecond = Math.round((changes / writeMs) * 1000);
  return {
    bareConnectMs: crowd.connectMs,
    bareChangesPerSecond,
    bareHandshakeUs: handshakeUs,
    bareDeliveryUs: deliveryUs,
  };
}

try {
  await seed(dataDir, 100, 1);
  const measured = await measureServer();
  const bare = await measureBare(measured);
  const figures = { ...measured.figures, ...bare };
  const results = join(import.meta.dirname, "results");
  mkdirSync(results, { recursive: true });
  const report = { benchmark: "watchers", date: new Date().toISOString(), loadAverage: loadavg(), figures };
  writeFileSync(join(results, "watchers.json"), `${JSON.stringify(report, null, 2)}\n`);
  process.stdout.write(
    values.json
      ? `${JSON.stringify(figures)}\n`
      : Object.entries(figures)
          .map(([name, value]) => `${name.padEnd(22)} ${value}\n`)
          .join(""),
  );
  if (figures.wrongWatchers > 0) process.exitCode = 1;
} finally {
  for (const process of opened) process.kill("SIGKILL");
  rmSync(dataDir, { recursive: true, force: true });
}
