/** Watchers of the event stream, many in one process: each keeps a hash of the revisions that it saw, in order. */
import { once } from "node:events";
import type { OnReadOpts } from "node:net";
import { connect, createSecureContext, type ConnectionOptions } from "node:tls";

export interface WatchTask {
  readonly port: number;
  readonly since: number;
  /** A token of one project each, and how many watch by it. */
  readonly projects: readonly { readonly name: string; readonly token: string; readonly watchers: number }[];
}

export interface Seen {
  readonly project: string;
  readonly count: number;
  readonly hash: number;
  readonly disordered: number;
}

const lineFeed = 10;
const digitZero = 48;
/** Behind the reply's head and the wish for pauses between reconnects. */
const firstFrame = "id: ";
const idPrefix = firstFrame.length;
/** Where the word of `event: change` begins in its line, and how that word does. */
const eventPrefix = "event: ".length;
const change = "c".charCodeAt(0);

/** The same as the writer's: equal for equal sequences. */
export function hashOn(hash: number, revision: number): number {
  return Math.imul(hash ^ revision, 0x01000193) >>> 0;
}

class Watcher {
  readonly project: string;
  count = 0;
  hash = 0x811c9dc5;
  disordered = 0;
  #last = 0;
  #rest: Buffer | undefined;
  #isHead = true;

  constructor(project: string) {
    this.project = project;
  }

  /** What lies in `bytes` is gone when this returns. */
  receive(bytes: Buffer): void {
    let data = this.#rest === undefined ? bytes : Buffer.concat([this.#rest, bytes]);
    this.#rest = undefined;
    if (this.#isHead) {
      if (!data.includes(" 200 ")) throw new Error(data.toString());
      const end = data.indexOf(firstFrame);
      if (end === -1) throw new Error("the reply's head did not come whole");
      this.#isHead = false;
      data = data.subarray(end);
    }
    let from = 0;
    while (from < data.length) {
      const end = this.#frame(data, from);
      if (end === -1) break;
      from = end;
    }
    if (from < data.length) this.#rest = Buffer.from(data.subarray(from));
  }

  /** Reads the frame that begins there: its id, and whether it is a change. Returns where it ends, -1 where that has not come yet. */
  #frame(data: Buffer, start: number): number {
    let at = start + idPrefix;
    let revision = 0;
    for (; at < data.length && data[at] !== lineFeed; at++) revision = revision * 10 + (data[at] ?? 0) - digitZero;
    const isChange = data[at + 1 + eventPrefix] === change;
    // The longest line is searched by the library, and a frame ends with the empty one behind it.
    const dataLine = data.indexOf(lineFeed, at + 1) + 1;
    const end = dataLine === 0 ? -1 : data.indexOf(lineFeed, dataLine) + 1;
    if (end <= 0 || end >= data.length) return -1;
    if (data[end] !== lineFeed) throw new Error(`not a frame: ${data.toString("utf8", start, end)}`);
    if (!isChange) return end + 1;
    if (!(revision > this.#last)) this.disordered++;
    this.#last = revision;
    this.hash = hashOn(this.hash, revision);
    this.count++;
    return end + 1;
  }
}

/** For all connections: each chunk is read to its end before the next comes. */
const chunk = Buffer.alloc(64 * 1024);
/** Made once, and without the authority: another connection has looked at the certificate, and this is not what is measured. */
const secureContext = createSecureContext({ minVersion: "TLSv1.3" });

async function watch(task: WatchTask, project: string, token: string): Promise<Watcher> {
  const watcher = new Watcher(project);
  const first = Promise.withResolvers<void>();
  const options: ConnectionOptions & { readonly onread: OnReadOpts } = {
    host: "127.0.0.1",
    port: task.port,
    secureContext,
    rejectUnauthorized: false,
    // One buffer for all spares each chunk an allocation and a way through a stream.
    onread: {
      buffer: chunk,
      callback(bytes: number) {
        watcher.receive(chunk.subarray(0, bytes));
        first.resolve();
        return true;
      },
    },
  };
  const socket = connect(options);
  await once(socket, "secureConnect");
  socket.on("close", () => (watcher.disordered += 1_000_000));
  socket.write(
    `GET /api/v1/events?since=${task.since} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${token}\r\n\r\n`,
  );
  await first.promise;
  return watcher;
}

process.once("message", (task: WatchTask) => {
  void (async () => {
    const watchers: Watcher[] = [];
    for (const { name, token, watchers: count } of task.projects) {
      for (let begun = 0; begun < count; begun += 10) {
        const group = Array.from({ length: Math.min(10, count - begun) }, () => watch(task, name, token));
        watchers.push(...(await Promise.all(group)));
      }
    }
    process.on("message", (question: "count" | "figures" | "close") => {
      if (question === "close") process.exit();
      if (question === "figures") {
        const { user, system } = process.cpuUsage();
        process.send?.({ cpuMs: (user + system) / 1000 });
        return;
      }
      const seen = watchers.map(({ project, count, hash, disordered }) => ({ project, count, hash, disordered }));
      process.send?.(seen satisfies Seen[]);
    });
    process.send?.("watching");
  })();
});
