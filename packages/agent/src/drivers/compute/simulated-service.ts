import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { duplexPair } from "node:stream";
import type { Duplex } from "node:stream";
import { markOfSimulatedDisk, readSimulatedHeader, tickSimulatedDisk } from "../simulated-disk.ts";

/** What a simulated guest serves about itself. */
export interface SimulatedServiceGuest {
  readonly id: string;
  readonly epoch: number;
  readonly startedAtMs: number;
  readonly diskPath: string;
  /** Powers the guest off from inside. */
  exit(): Promise<void>;
}

/** The guest's HTTP server: `/` says hello, `/tick` counts on its disk, `/data` tells that disk from others, `/exit` powers it off. No socket of the host is used. */
export class SimulatedService {
  readonly #guests = new WeakMap<object, SimulatedServiceGuest>();
  readonly #server: Server = createServer((request, response) => {
    void this.#answer(request, response);
  });

  /** The caller's end of a connection to `guest`. */
  connect(guest: SimulatedServiceGuest): Duplex {
    const [near, far] = duplexPair();
    this.#guests.set(far, guest);
    this.#server.emit("connection", far);
    return near;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const guest = this.#guests.get(request.socket);
    const reply = (status: number, body: unknown): void => {
      response
        .writeHead(status, { "content-type": "application/json", connection: "close" })
        .end(`${JSON.stringify(body)}\n`);
    };
    try {
      if (guest === undefined) reply(502, { error: "this connection leads to no guest" });
      else if (request.url === "/tick") reply(200, { ticks: await tickSimulatedDisk(guest.diskPath) });
      else if (request.url === "/data") reply(200, { mark: await markOfSimulatedDisk(guest.diskPath) });
      else if (request.url === "/exit") {
        reply(200, { bye: guest.id });
        await guest.exit();
      } else if (request.url === "/") {
        const { ticks } = await readSimulatedHeader(guest.diskPath);
        reply(200, { hello: guest.id, epoch: guest.epoch, startedAtMs: guest.startedAtMs, ticks });
      } else reply(404, { error: "try /, /tick, /data or /exit" });
    } catch (error) {
      // The guest's disk went away under it, as when a test removes it.
      if (!response.headersSent) reply(500, { error: String(error) });
    }
  }
}
