import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { Transform } from "node:stream";
import { parseEndpoint } from "@skerry/protocol";

/** A TCP path to an endpoint that carries at most so many bytes a second back, and can be cut. */
export class SlowPath implements AsyncDisposable {
  carriedBytes = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  endpoint = "";

  private constructor(endpoint: string, bytesPerSecond: number) {
    const to = parseEndpoint(endpoint);
    if (to === undefined) throw new Error(`${endpoint} is no endpoint`);
    this.#server = createServer({ allowHalfOpen: true }, (near) => {
      const far = connect({ ...to, allowHalfOpen: true });
      this.#sockets.add(near).add(far);
      const slow = new Transform({
        transform: (chunk: Buffer, _encoding, done) => {
          this.carriedBytes += chunk.length;
          setTimeout(() => done(null, chunk), (chunk.length / bytesPerSecond) * 1000);
        },
      });
      near.pipe(far);
      far.pipe(slow).pipe(near);
      for (const socket of [near, far]) {
        // Ends of any kind are this path's business; what is still on the way back is delivered first.
        socket.once("error", () => undefined);
        socket.once("close", () => {
          this.#sockets.delete(socket);
          if (socket === near) far.destroy();
          else slow.end();
        });
      }
    });
  }

  static async open(endpoint: string, bytesPerSecond: number): Promise<SlowPath> {
    const path = new SlowPath(endpoint, bytesPerSecond);
    path.#server.listen(0, "127.0.0.1");
    await once(path.#server, "listening");
    const address = path.#server.address();
    if (address !== null && typeof address !== "string") path.endpoint = `127.0.0.1:${address.port}`;
    return path;
  }

  /** Cuts what is being carried; new connections pass. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }
}
