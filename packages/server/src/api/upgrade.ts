import type { IncomingMessage, ServerResponse as Response } from "node:http";
import type { Duplex } from "node:stream";
import { SkerryError } from "@skerry/model";
import { WebSocketServer, type WebSocket } from "ws";

// An import of it as a module would load all that it exports, an HTTP client of 30 ms among it.
const { ServerResponse } = process.getBuiltinModule("node:http");

/** A request that asks to become a WebSocket, until a route answers it. */
interface Upgrade {
  readonly socket: Duplex;
  readonly head: Buffer;
}

/** Requests pass through the API's router like all others, so that no guard of it can be missed on the way. */
const upgrades = new WeakMap<IncomingMessage, Upgrade>();

/** Hands an `upgrade` event of an HTTP server to the router; a route either accepts it or its answer is sent as HTTP. */
export function routeUpgrade(
  route: (request: IncomingMessage, response: Response) => void,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  upgrades.set(request, { socket, head });
  // A peer that goes away is no error of ours, and nobody else listens yet.
  socket.on("error", () => socket.destroy());
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket as Parameters<Response["assignSocket"]>[0]);
  response.once("finish", () => socket.end());
  route(request, response);
}

/** @throws SkerryError invalid-request where a request does not ask to become a WebSocket */
export function requireUpgrade(request: IncomingMessage): Upgrade {
  const upgrade = upgrades.get(request);
  if (upgrade !== undefined && /^websocket$/i.test(request.headers.upgrade ?? "")) return upgrade;
  throw new SkerryError("invalid-request", "This is a stream of bytes: open it as a WebSocket.", {
    remedy: "Use `skerry instance console` or the SDK, or any WebSocket client.",
  });
}

/** Accepts WebSockets of one kind. */
export interface WebSocketDoor {
  /**
   * Turns a request into a WebSocket.
   * @throws SkerryError invalid-request where it does not ask to become one
   */
  accept(request: IncomingMessage, response: Response): Promise<WebSocket>;
}

/** Offered by clients that can't set headers, beside the protocol that carries the token. */
const streamProtocol = "skerry.v1";
const bearerProtocolPrefix = "bearer.";

/** @param maxPayload largest message taken, bytes */
export function webSocketDoor(maxPayload: number): WebSocketDoor {
  const server = new WebSocketServer({
    noServer: true,
    maxPayload,
    perMessageDeflate: false,
    clientTracking: false,
    handleProtocols: (offered) => (offered.has(streamProtocol) ? streamProtocol : false),
  });
  return {
    accept: (request, response) => {
      const upgrade = requireUpgrade(request);
      upgrades.delete(request);
      response.detachSocket(upgrade.socket as Parameters<Response["detachSocket"]>[0]);
      return new Promise((resolve, reject) => {
        // A malformed handshake is answered by the library, which then calls nobody back.
        upgrade.socket.once("close", () =>
          reject(new SkerryError("invalid-request", "The connection closed before it was a WebSocket.")),
        );
        server.handleUpgrade(request, upgrade.socket, upgrade.head, (webSocket) => {
          // Protocol errors close the socket, and whoever uses it sees that.
          webSocket.on("error", () => undefined);
          resolve(webSocket);
        });
      });
    },
  };
}

/** The token among the protocols that a browser offers: `skerry.v1, bearer.skt1.…`. */
export function protocolToken(request: IncomingMessage): string | undefined {
  if (!upgrades.has(request)) return undefined;
  const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((word) => word.trim());
  return offered.find((word) => word.startsWith(bearerProtocolPrefix))?.slice(bearerProtocolPrefix.length);
}
