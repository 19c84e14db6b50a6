import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { FastifyInstance } from "fastify";
import { routeUpgrade } from "../api/upgrade.ts";

/** Answers what comes in on the listener. */
export interface Serving {
  request(request: IncomingMessage, response: ServerResponse): void;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/** One that can be put aside for another. */
export interface ClosableServing extends Serving {
  /** Ends its streams and links; resolves when its requests have been answered. */
  close(): Promise<void>;
}

/** HTTP and WebSocket pass through the same router and so through the same guards. */
export function servingOf(app: FastifyInstance): Serving {
  const request = (incoming: IncomingMessage, response: ServerResponse): void => app.routing(incoming, response);
  return { request, upgrade: (incoming, socket, head) => routeUpgrade(request, incoming, socket, head) };
}
