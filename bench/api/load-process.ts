/** Clients of the API, in a process of their own. */
import { HttpConnection } from "./http-connection.ts";
import { instanceSpec, userData } from "./fixture.ts";

export interface LoadTask {
  readonly port: number;
  readonly authority: string;
  readonly token: string;
  readonly projects: number;
  /** `create` makes instances that are named after `run`; else a path to GET. */
  readonly what: { readonly create: string } | { readonly get: readonly string[] };
  /** How many connections, each with one request outstanding. */
  readonly outstanding: number;
  readonly seconds: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly cpuMs: number;
  readonly bytesEach: number;
}

function requestMaker(task: LoadTask): () => string {
  const { what, token, projects } = task;
  const common = `host: 127.0.0.1\r\nauthorization: Bearer ${token}\r\n`;
  let serial = 0;
  if ("get" in what) return () => `GET ${what.get[serial++ % what.get.length]} HTTP/1.1\r\n${common}\r\n`;
  const body = JSON.stringify({ metadata: { labels: { app: "web" } }, spec: { ...instanceSpec, userData } });
  const tail = `HTTP/1.1\r\n${common}content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  return () => {
    const number = serial++;
    return `PUT /api/v1/projects/p${number % projects}/instances/${what.create}-${number} ${tail}`;
  };
}

async function run(task: LoadTask): Promise<LoadResult> {
  const connections: HttpConnection[] = [];
  for (let index = 0; index < task.outstanding; index++)
    connections.push(await HttpConnection.open(task.port, task.authority));
  const next = requestMaker(task);
  const expected = "create" in task.what ? 202 : 200;
  const waits: number[] = [];
  let bytes = 0;
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  const end = start + task.seconds * 1000;
  const drive = async (connection: HttpConnection): Promise<void> => {
    for (let now = performance.now(); now < end; now = performance.now()) {
      const { status, body } = await connection.ask(next());
      if (status !== expected) throw new Error(`the server answered ${status}: ${body.toString()}`);
      bytes += body.length;
      waits.push(performance.now() - now);
    }
  };
  await Promise.all(connections.map(drive));
  const elapsedMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpuBefore);
  for (const connection of connections) connection.close();
  waits.sort((one, other) => one - other);
  const at = (part: number): number => Number((waits[Math.floor(waits.length * part)] ?? 0).toFixed(2));
  return {
    requests: waits.length,
    perSecond: Number(((waits.length / elapsedMs) * 1000).toFixed(1)),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: Number((waits.at(-1) ?? 0).toFixed(2)),
    cpuMs: Math.round((user + system) / 1000),
    bytesEach: Math.round(bytes / Math.max(1, waits.length)),
  };
}

process.on("message", (task: LoadTask) => {
  run(task).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exit(1);
    },
  );
});
