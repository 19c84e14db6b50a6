/**
 * Thousands of watchers of the event stream, over TLS, each seeing every change of its project once and in order while changes are
 * written through the API. Fails where one watcher of one project saw anything else than what was written there. Keeps its
 * figures in bench/results/watchers.json.
 *
 *   ./skerry bench watchers [--watchers 10000] [--rate 500] [--seconds 20] [--json]
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
import { hashOn, type Seen } from "./watchers/watcher-process.ts";

const { values } = parseArgs({
  options: {
    watchers: { type: "string", default: "10000" },
    rate: { type: "string", default: "500" },
    seconds: { type: "string", default: "20" },
    json: { type: "boolean", default: false },
  },
});
const watchers = Number(values.watchers);
const changes = Number(values.rate) * Number(values.seconds);
const projects = 100;
const processes = 4;

function child(file: string, ...argv: string[]): ChildProcess {
  return fork(join(import.meta.dirname, file), argv, {
    execArgv: ["--disable-warning=ExperimentalWarning", "--max-semi-space-size=8"],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
}

async function answer<T>(from: ChildProcess): Promise<T> {
  const [message] = (await once(from, "message")) as [T];
  return message;
}

const dataDir = mkdtempSync(join(tmpdir(), "skerry-bench-watchers-"));
await seed(dataDir, 100, 1);
const server = child("api/server-process.ts", dataDir);
const readers = Array.from({ length: processes }, () => child("watchers/watcher-process.ts"));
try {
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

  const startMs = performance.now();
  const each = Math.ceil(watchers / projects / processes);
  for (const reader of readers) {
    const wishes = tokens.map((token, index) => ({ name: `p${index}`, token, watchers: each }));
    reader.send({ port, authority, since, projects: wishes });
  }
  await Promise.all(readers.map((reader) => answer(reader)));
  const connectMs = Math.round(performance.now() - startMs);
  // Not before: the server closes connections that are idle for long.
  const connections = await Promise.all(Array.from({ length: 32 }, () => HttpConnection.open(port, authority)));

  const written = Array.from({ length: projects }, (): number[] => []);
  const writeStart = performance.now();
  let next = 0;
  await Promise.all(
    connections.map(async (connection) => {
      for (let serial = next++; serial < changes; serial = next++) {
        // Due at a steady rate, however long each takes.
        const dueMs = writeStart + (serial / Number(values.rate)) * 1000;
        const waitMs = dueMs - performance.now();
        if (waitMs > 1) await new Promise((resolve) => setTimeout(resolve, waitMs));
        const project = (serial * 37) % projects;
        const patch = { metadata: { labels: { serial: String(serial) } } };
        const answered = await connection.ask(
          put("PATCH", `/api/v1/projects/p${project}`, "application/merge-patch+json", patch),
        );
        if (answered.status !== 200) throw new Error(answered.body.toString());
        const { resource } = JSON.parse(answered.body.toString()) as { resource: { metadata: { revision: number } } };
        written[project]?.push(resource.metadata.revision);
      }
    }),
  );
  const writeMs = performance.now() - writeStart;

  const expected = new Map(
    written.map((revisions, index) => {
      const hash = revisions.sort((one, other) => one - other).reduce(hashOn, 0x811c9dc5);
      return [`p${index}`, { count: revisions.length, hash }];
    }),
  );
  const isRight = ({ project, count, hash, disordered }: Seen): boolean =>
    disordered === 0 && count === expected.get(project)?.count && hash === expected.get(project)?.hash;
  let seen: Seen[] = [];
  const deadline = performance.now() + 60_000;
  do {
    if (seen.length > 0) await new Promise((resolve) => setTimeout(resolve, 200));
    for (const reader of readers) reader.send("count");
    seen = (await Promise.all(readers.map((reader) => answer<Seen[]>(reader)))).flat();
  } while (!seen.every(isRight) && performance.now() < deadline);
  const behindMs = Math.round(performance.now() - writeStart - writeMs);

  server.send("figures");
  const { residentMiB, longestPauseMs, cpuMs } = await answer<ServerFigures>(server);
  const wrong = seen.filter((one) => !isRight(one));
  const figures = {
    watchers: seen.length,
    changes,
    changesPerSecond: Math.round((changes / writeMs) * 1000),
    delivered: seen.reduce((sum, { count }) => sum + count, 0),
    wrongWatchers: wrong.length,
    connectMs,
    lastDeliveredAfterMs: behindMs,
    serverResidentMiB: residentMiB,
    serverLongestPauseMs: longestPauseMs,
    serverCpuMs: cpuMs,
  };
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
  if (wrong.length > 0) {
    process.stderr.write(
      `${JSON.stringify(wrong[0])}, expected ${JSON.stringify(expected.get(wrong[0]?.project ?? ""))}\n`,
    );
    process.exitCode = 1;
  }
} finally {
  for (const reader of readers) reader.kill("SIGKILL");
  server.kill("SIGKILL");
  rmSync(dataDir, { recursive: true, force: true });
}
