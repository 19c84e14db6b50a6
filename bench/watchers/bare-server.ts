/**
 * The peer of the event stream: a server of Node's TLS and nothing else, which knows each project by the token that its watchers
 * send, and writes frames of the same length to the same number of sockets at the same rate. What it takes is the floor.
 */
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createServer, type TLSSocket } from "node:tls";

export interface BareTask {
  readonly tokens: readonly string[];
  readonly since: number;
  readonly changes: number;
  readonly perSecond: number;
  readonly frameBytes: number;
}

const head =
  "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\nretry: 1000\n\nid: 0\nevent: heartbeat\ndata: {}\n\n";
const bearer = /bearer (\S+)/i;
const byToken = new Map<string, TLSSocket[]>();

function welcome(socket: TLSSocket): void {
  socket.once("data", (request: Buffer) => {
    const token = bearer.exec(request.toString("latin1"))?.[1] ?? "";
    const others = byToken.get(token);
    if (others === undefined) byToken.set(token, [socket]);
    else others.push(socket);
    socket.write(head);
  });
}

async function write(task: BareTask): Promise<void> {
  const start = performance.now();
  for (let serial = 0; serial < task.changes; serial++) {
    const waitMs = start + (serial / task.perSecond) * 1000 - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    const opening = `id: ${task.since + 1 + serial}\nevent: change\ndata: `;
    const frame = Buffer.from(`${opening.padEnd(task.frameBytes - 2, "x")}\n\n`);
    for (const socket of byToken.get(task.tokens[(serial * 37) % task.tokens.length] ?? "") ?? []) socket.write(frame);
  }
}

const pki = join(process.argv[2] ?? "", "pki");
const certificate = readFileSync(join(pki, "server.pem"), "utf8") + readFileSync(join(pki, "ca.pem"), "utf8");
const pair = { key: readFileSync(join(pki, "server.key")), cert: certificate };
const server = createServer({ ...pair, minVersion: "TLSv1.3" }, welcome);
server.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => {
  process.send?.({ port: (server.address() as AddressInfo).port });
});

process.on("message", (task: BareTask | "figures" | "close") => {
  if (task === "close") process.exit();
  if (task === "figures") {
    const { user, system } = process.cpuUsage();
    process.send?.({ cpuMs: (user + system) / 1000 });
  } else void write(task).then(() => process.send?.("written"));
});
