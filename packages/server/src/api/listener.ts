import { createServer, type Server } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { SkerryError, toProblem } from "@skerry/model";
import type { KeyPair } from "../pki/certificate.ts";
import { defaultHandshakeLimits, limitHandshakes, type HandshakeGate, type HandshakeLimits } from "./handshake-gate.ts";
import type { Serving } from "../replicas/serving.ts";

const maxHeaderBytes = 16 * 1024;
const defaultHeadersTimeoutMs = 20_000;
const handshakeTimeoutMs = 20_000;
const idleTimeoutMs = 75_000;
const idleSweepMs = 20;
/** How often connections are looked through for those that are too slow. */
const slowSweepMs = 5000;
/** A silent connection is asked by TCP whether its peer is still there. */
const keepAliveMs = 30_000;

export interface ListenAddress {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
}

/** Sockets that are bound; what comes before `serve` waits for it. */
export interface Listener {
  /** Where it listens, ports chosen. */
  readonly addresses: readonly ListenAddress[];
  /** Hands what comes from here on to `serving`. */
  serve(serving: Serving): void;
  /** Takes no more connections, lets requests under way end, and after `graceMs` cuts what is left. */
  close(graceMs: number): Promise<void>;
}

/**
 * Listens by TLS on every address.
 * @param headersTimeoutMs the head of a request, the first included, must be here whole by then
 * @throws SkerryError unavailable where an address can't be listened on
 */
export async function listen(
  pair: KeyPair,
  addresses: readonly ListenAddress[],
  limits: HandshakeLimits = defaultHandshakeLimits,
  headersTimeoutMs = defaultHeadersTimeoutMs,
): Promise<Listener> {
  await using undo = new AsyncDisposableStack();
  const servers: Server[] = [];
  const gates: HandshakeGate[] = [];
  const first = Promise.withResolvers<Serving>();
  let serving = first.promise;
  for (const address of addresses) {
    const server = makeServer(() => serving, pair, headersTimeoutMs);
    undo.defer(() => closeServer(server, 0));
    gates.push(limitHandshakes(server, limits));
    await bind(server, address);
    servers.push(server);
  }
  undo.move();
  return {
    addresses: servers.map((server, index) => ({
      host: addresses[index]?.host ?? "",
      port: (server.address() as AddressInfo).port,
    })),
    serve(next) {
      first.resolve(next);
      serving = Promise.resolve(next);
    },
    close: async (graceMs) => {
      for (const gate of gates) gate.close();
      await Promise.all(servers.map((server) => closeServer(server, graceMs)));
    },
  };
}

function makeServer(serving: () => Promise<Serving>, pair: KeyPair, headersTimeoutMs: number): Server {
  const server = createServer(
    {
      key: pair.key,
      cert: pair.certificate,
      minVersion: "TLSv1.3",
      handshakeTimeout: handshakeTimeoutMs,
      // Nothing is read of a connection before its handshake may begin.
      pauseOnConnect: true,
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: headersTimeoutMs,
      connectionsCheckingInterval: Math.min(slowSweepMs, headersTimeoutMs),
      // Uploads take as long as they take; bodies of JSON and stalled uploads have limits of their own.
      requestTimeout: 0,
      keepAliveTimeout: idleTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveMs,
    },
    (request, response) => void serving().then((current) => current.request(request, response)),
  );
  server.on("upgrade", (request, socket, head) => {
    void serving().then((current) => current.upgrade(request, socket, head));
  });
  server.on("clientError", (error: Error & { code?: string }, socket: Socket) => refuse(error, socket));
  // A failed handshake is the peer's affair; there is nothing to be said over it, and nobody else hangs up.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  return server;
}

/** What is no HTTP gets a last answer where one can still be written. */
function refuse(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const problem = toProblem(refusalOf(error.code));
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\ncontent-type: application/problem+json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

function refusalOf(code: string | undefined): SkerryError {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return new SkerryError("too-large", `The request's headers are larger than ${maxHeaderBytes} bytes.`);
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new SkerryError("invalid-request", "The request's headers did not come in time.");
    default:
      return new SkerryError("invalid-request", "That is not a valid HTTP request.");
  }
}

function bind(server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void =>
      reject(
        new SkerryError("unavailable", `The server can not listen on ${host} port ${port}: ${error.message}.`, {
          remedy:
            error.code === "EADDRINUSE"
              ? "Stop what listens there, or choose another port with --listen."
              : "Choose another address with --listen.",
          cause: error,
        }),
      );
    server.once("error", failed);
    server.listen({ host, port, backlog: 4096 }, () => {
      server.off("error", failed);
      resolve();
    });
  });
}

function closeServer(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    if (!server.listening) {
      resolve();
      return;
    }
    const cut = setTimeout(() => server.closeAllConnections(), graceMs);
    // A connection that is kept alive becomes idle when its last request ends, and nobody tells.
    const sweep = setInterval(() => server.closeIdleConnections(), idleSweepMs);
    server.close(() => {
      clearTimeout(cut);
      clearInterval(sweep);
      resolve();
    });
  });
}
