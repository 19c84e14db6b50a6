import { createHash, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:https";
import type { Server } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { TLSSocket } from "node:tls";
import { SkerryError, toProblem } from "@skerry/model";
import { formatEndpoint } from "@skerry/protocol";
import type { VolumeDriver } from "../drivers/volume.ts";
import type { TlsIdentity } from "../identity.ts";
import type { Log } from "../log.ts";
import type { OfferBook } from "../reconcile/offers.ts";
import { digestHeader, ticketHeader, volumePath } from "./wire.ts";

export interface VolumeServerDeps {
  readonly identity: TlsIdentity;
  readonly volumes: VolumeDriver;
  readonly offers: OfferBook;
  readonly log: Log;
}

/** Transfers at once; others wait to connect. */
const maxConnections = 64;
/** A peer that takes nothing for this long is cut. */
const idleMs = 30_000;

/** Serves what is offered, to whom it is offered, and nothing else. Closes when aborted. @returns the port */
export async function serveVolumes(
  host: string,
  port: number,
  deps: VolumeServerDeps,
  signal: AbortSignal,
): Promise<number> {
  const { identity, log } = deps;
  const server = createServer(
    {
      key: identity.key,
      cert: identity.certificate,
      ca: [identity.authority],
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: "TLSv1.3",
      handshakeTimeout: 10_000,
      headersTimeout: 10_000,
      requestTimeout: 10_000,
    },
    (request, response) => {
      answer(request, response, deps).catch((error: unknown) => {
        if (!response.headersSent) refuse(response, error);
        else response.destroy();
        log.info({ error, path: request.url }, "a transfer to another node ended early");
      });
    },
  );
  server.maxConnections = maxConnections;
  server.setTimeout(idleMs);
  await bind(server, host, port);
  signal.addEventListener(
    "abort",
    () => {
      server.close();
      server.closeAllConnections();
    },
    { once: true },
  );
  const address = server.address();
  if (address === null || typeof address === "string") throw new TypeError("the data plane has no port");
  return address.port;
}

/** `::` takes connections by IPv4 too; where the host has no IPv6, `0.0.0.0` stands in for it. */
async function bind(server: Server, host: string, port: number): Promise<void> {
  try {
    server.listen(port, host);
    await once(server, "listening");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (host === "::" && (code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL")) {
      await bind(server, "0.0.0.0", port);
      return;
    }
    throw new SkerryError(
      "unavailable",
      `The agent cannot listen on ${formatEndpoint(host, port)} for other nodes (${String(code)}).`,
      {
        remedy:
          code === "EADDRINUSE"
            ? "Another program has this port: end it, or give the agent another one with --data-port."
            : "Give another address with --listen.",
        cause: error,
      },
    );
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, deps: VolumeServerDeps): Promise<void> {
  const { offer, signal } = permitted(request, deps);
  const offset = offsetOf(request);
  const { sizeBytes, bytes } = await deps.volumes.read(offer.volumeId, offset, signal);
  if (offset > sizeBytes)
    throw new SkerryError("invalid-request", `The volume has ${sizeBytes} bytes; there are none at ${offset}.`);
  response.writeHead(offset === 0 ? 200 : 206, {
    "content-type": "application/octet-stream",
    "content-length": sizeBytes - offset,
    ...(offset === 0 ? {} : { "content-range": `bytes ${offset}-${sizeBytes - 1}/${sizeBytes}` }),
    [digestHeader]: offer.digest,
  });
  // An offer that ends cuts the transfer: the disk may be written again from then on.
  if (request.method === "GET") await send(bytes, response, signal);
  response.end();
}

/** Passes chunks on, each only once the one before has left: they share one buffer. */
async function send(bytes: AsyncIterable<Uint8Array>, response: ServerResponse, signal: AbortSignal): Promise<void> {
  let fail: (reason: Error) => void = () => undefined;
  response.once("close", () => fail(new Error("the transfer was cut", { cause: signal.reason })));
  const cut = (): void => void response.destroy();
  signal.addEventListener("abort", cut, { once: true });
  try {
    for await (const chunk of bytes) {
      signal.throwIfAborted();
      if (response.destroyed) throw new Error("the other node has closed the connection");
      const left = Promise.withResolvers<void>();
      fail = left.reject;
      response.write(chunk, (error) => (error ? left.reject(error) : left.resolve()));
      await left.promise;
    }
  } finally {
    signal.removeEventListener("abort", cut);
  }
}

/** The offer that this peer may have; whatever is missing or wrong, the answer is that there is nothing. */
function permitted(request: IncomingMessage, deps: VolumeServerDeps) {
  const nothing = new SkerryError("not-found", "No such volume is offered to you.");
  if (request.method !== "GET" && request.method !== "HEAD") throw nothing;
  const path = request.url ?? "";
  const entry = path.startsWith(volumePath) ? deps.offers.get(path.slice(volumePath.length)) : undefined;
  const publicKey = peerKey(request);
  const ticket = request.headers[ticketHeader];
  if (entry === undefined || publicKey === undefined || typeof ticket !== "string") throw nothing;
  const { offer } = entry;
  const isPeer = equalInConstantTime(publicKey, offer.publicKey);
  const isTicket = equalInConstantTime(ticket, offer.ticket);
  if (!isPeer || !isTicket) throw nothing;
  return entry;
}

/** The key in the certificate that the peer proved in the handshake; SPKI DER, base64. */
function peerKey(request: IncomingMessage): string | undefined {
  const socket = request.socket as TLSSocket;
  if (!socket.authorized) return undefined;
  return socket.getPeerX509Certificate()?.publicKey.export({ type: "spki", format: "der" }).toString("base64");
}

function equalInConstantTime(one: string, other: string): boolean {
  const hash = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(one), hash(other));
}

function offsetOf(request: IncomingMessage): number {
  const { range } = request.headers;
  if (range === undefined) return 0;
  const offset = Number(/^bytes=(\d{1,15})-$/.exec(range)?.[1]);
  if (!Number.isSafeInteger(offset))
    throw new SkerryError("invalid-request", "Only a range of the form bytes=N- is served.");
  return offset;
}

function refuse(response: ServerResponse, error: unknown): void {
  const problem = toProblem(error);
  response.writeHead(problem.status, { "content-type": "application/problem+json" }).end(JSON.stringify(problem));
}
