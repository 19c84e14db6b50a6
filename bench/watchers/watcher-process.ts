/** Watchers of the event stream, many in one process: each keeps a hash of the revisions that it saw, in order. */
import { once } from "node:events";
import { connect } from "node:tls";

export interface WatchTask {
  readonly port: number;
  readonly authority: string;
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

const marker = Buffer.from("\nevent: change\n");
const idMarker = Buffer.from("id: ");

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

  constructor(project: string) {
    this.project = project;
  }

  /** Frames come whole within a chunk, so that only the ids have to be found. */
  receive(chunk: Buffer): void {
    const data = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    let from = 0;
    for (let at = data.indexOf(marker); at !== -1; at = data.indexOf(marker, from)) {
      const id = data.lastIndexOf(idMarker, at);
      const revision = Number(data.toString("latin1", id + idMarker.length, at));
      if (!(revision > this.#last)) this.disordered++;
      this.#last = revision;
      this.hash = hashOn(this.hash, revision);
      this.count++;
      from = at + marker.length;
    }
    // An id whose marker has not come yet lies in the last few bytes.
    this.#rest = Buffer.from(data.subarray(Math.max(from, data.length - 40)));
  }
}

async function watch(task: WatchTask, project: string, token: string): Promise<Watcher> {
  const watcher = new Watcher(project);
  const socket = connect({ host: "127.0.0.1", port: task.port, ca: task.authority });
  await once(socket, "secureConnect");
  const first = once(socket, "data") as Promise<[Buffer]>;
  socket.write(
    `GET /api/v1/events?since=${task.since} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${token}\r\n\r\n`,
  );
  const [head] = await first;
  if (!head.includes(" 200 ")) throw new Error(head.toString());
  watcher.receive(head);
  socket.on("data", (chunk: Buffer) => watcher.receive(chunk));
  socket.on("close", () => (watcher.disordered += 1_000_000));
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
    process.on("message", () => {
      const seen = watchers.map(({ project, count, hash, disordered }) => ({ project, count, hash, disordered }));
      process.send?.(seen satisfies Seen[]);
    });
    process.send?.("watching");
  })();
});
