import type { ClientRequest, IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { Agent, request as httpsRequest, type RequestOptions } from "node:https";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { SkerryError, toProblem } from "@skerry/model";
import type { Serving } from "./serving.ts";

/** Says that a replica has passed this on, and for which address: who gets it and does not lead either refuses it, so that nothing goes in circles. */
export const forwardedHeader = "x-skerry-forwarded";
/** TCP and TLS to the leader; after that the two ends decide how long it takes. */
const defaultConnectMs = 5000;
const maxSockets = 256;
/** How soon a request that went to a leader which is none any more is given up. */
const lookMs = 500;

export interface ForwardDeps {
  /** Where the leader serves; undefined while nobody leads. */
  readonly leaderUrl: () => string | undefined;
  /** PEM of the zone's authority, which every replica's certificate is from. */
  readonly authority: string;
  /** How long a connection to the leader may take to come about; 5 s where absent. */
  readonly connectMs?: number;
}

/** Passes requests and WebSockets on to the leader as they are: the leader authenticates and authorises them. */
export function makeForward({
  leaderUrl,
  authority,
  connectMs = defaultConnectMs,
}: ForwardDeps): Serving & { close(): void } {
  const agent = new Agent({ keepAlive: true, maxSockets, ca: authority });

  /** Requests under way, and where each went. */
  const underWay = new Map<ClientRequest, string | undefined>();
  let looking: NodeJS.Timeout | undefined;
  /** A leader whose process is paused on a connection of old never answers; another one leads soon, which tells. */
  const endWithLeader = (asked: ClientRequest): ClientRequest => {
    underWay.set(asked, leaderUrl());
    looking ??= setInterval(() => {
      const url = leaderUrl();
      for (const [each, wentTo] of underWay) if (wentTo !== url) each.destroy(new Error(`${wentTo} leads no more`));
    }, lookMs);
    return asked.once("close", () => {
      underWay.delete(asked);
      if (underWay.size > 0) return;
      clearInterval(looking);
      looking = undefined;
    });
  };

  const target = (incoming: IncomingMessage): RequestOptions => {
    const url = leaderUrl();
    if (url === undefined || incoming.headers[forwardedHeader] !== undefined) throw noLeader();
    const { hostname, port } = new URL(url);
    return {
      agent,
      host: hostname.replace(/^\[(.*)\]$/, "$1"),
      port,
      method: incoming.method,
      path: incoming.url,
      headers: { ...passedOn(incoming.headers), [forwardedHeader]: incoming.socket.remoteAddress ?? "unknown" },
    };
  };

  return {
    request(incoming, response) {
      let asked;
      try {
        asked = endWithLeader(limitConnecting(httpsRequest(target(incoming)), connectMs));
      } catch (error) {
        answer(response, error);
        return;
      }
      asked.on("response", (answered) => {
        response.writeHead(answered.statusCode ?? 502, passedOn(answered.headers));
        // Whichever side ends early, the other one sees its connection end.
        pipeline(answered, response).catch(() => response.destroy());
      });
      asked.on("error", (error) => answer(response, unreachable(error)));
      response.on("close", () => asked.destroy());
      pipeline(incoming, asked).catch(() => asked.destroy());
    },

    upgrade(incoming, socket, head) {
      socket.on("error", () => socket.destroy());
      let asked;
      try {
        const { headers } = incoming;
        const upgrade = { connection: "Upgrade", upgrade: headers.upgrade ?? "websocket" };
        const options = target(incoming);
        const headersOfBoth = { ...(options.headers as IncomingHttpHeaders), ...upgrade };
        asked = endWithLeader(limitConnecting(httpsRequest({ ...options, headers: headersOfBoth }), connectMs));
      } catch (error) {
        refuse(socket, error);
        return;
      }
      asked.on("upgrade", (answered, far, farHead) => {
        socket.write(rawHead(answered));
        if (farHead.length > 0) socket.write(farHead);
        if (head.length > 0) far.write(head);
        far.on("error", () => socket.destroy());
        far.on("close", () => socket.destroy());
        socket.on("close", () => far.destroy());
        far.pipe(socket).pipe(far);
      });
      asked.on("response", (answered) => {
        socket.write(rawHead(answered));
        answered.pipe(socket);
      });
      asked.on("error", (error) => refuse(socket, unreachable(error)));
      socket.on("close", () => asked.destroy());
      asked.end();
    },

    close: () => agent.destroy(),
  };
}

/** Ends a request that has no working connection by then: a leader that is paused still has TCP answered by its kernel. */
function limitConnecting(asked: ClientRequest, connectMs: number): ClientRequest {
  const timer = setTimeout(() => asked.destroy(new Error(`no connection within ${connectMs} ms`)), connectMs);
  const settled = (): void => clearTimeout(timer);
  asked.once("close", settled);
  asked.once("socket", (socket) => {
    if (asked.reusedSocket) settled();
    else socket.once("secureConnect", settled);
  });
  return asked;
}

/** Without what concerns one connection only (RFC 9110, 7.6.1). */
function passedOn(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const { connection: _1, "keep-alive": _2, "transfer-encoding": _3, upgrade: _4, ...rest } = headers;
  return rest;
}

function rawHead({ statusCode, statusMessage, rawHeaders }: IncomingMessage): string {
  const lines = [`HTTP/1.1 ${statusCode} ${statusMessage}`];
  for (let index = 0; index < rawHeaders.length; index += 2)
    lines.push(`${rawHeaders[index]}: ${rawHeaders[index + 1]}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function answer(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const problem = toProblem(error);
  response.writeHead(problem.status, { "content-type": "application/problem+json", "retry-after": "1" });
  response.end(JSON.stringify(problem));
}

function refuse(socket: Duplex, error: unknown): void {
  if (!socket.writable) return;
  const problem = toProblem(error);
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

function noLeader(): SkerryError {
  return new SkerryError("unavailable", "No replica leads at the moment.", {
    remedy: "Ask again in a second or two: another one takes over. If none does, look whether PostgreSQL runs.",
  });
}

function unreachable(cause: Error): SkerryError {
  return new SkerryError(
    "unavailable",
    "The replica that leads can't be reached; it isn't known whether it did this.",
    {
      remedy: "Ask again in a second or two, with the same Idempotency-Key or If-Match.",
      cause,
    },
  );
}
