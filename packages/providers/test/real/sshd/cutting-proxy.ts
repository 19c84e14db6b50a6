import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** A link that a test cuts or silences: forwards a port of 127.0.0.1 to a host. */
export class CuttingProxy implements AsyncDisposable {
  /** Bytes that went to the host over all connections. */
  sentBytes = 0;
  connections = 0;
  /** The next connection is reset after so many bytes to the host. */
  cutAfterBytes = Number.POSITIVE_INFINITY;
  /** How fast it forwards to the host. */
  bytesPerSecond = Number.POSITIVE_INFINITY;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #silent = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async to(port: number, address = "127.0.0.1"): Promise<CuttingProxy> {
    const server = createServer();
    const proxy = new CuttingProxy(server);
    server.on("connection", (client) => proxy.#forward(client, connect(port, address)));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** From now on nothing passes, and nobody is told. */
  silence(): void {
    this.#silent = true;
  }

  /** Resets what is connected now. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  #forward(client: Socket, host: Socket): void {
    this.connections += 1;
    const limit = this.cutAfterBytes;
    this.cutAfterBytes = Number.POSITIVE_INFINITY;
    let sent = 0;
    for (const socket of [client, host]) {
      this.#sockets.add(socket);
      // The other end's reset; the close handler does what is to be done.
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        client.destroy();
        host.destroy();
      });
    }
    client.on("data", (data: Buffer) => {
      if (this.#silent) return;
      const passed = data.subarray(0, limit - sent);
      sent += passed.length;
      this.sentBytes += passed.length;
      if (Number.isFinite(this.bytesPerSecond)) {
        client.pause();
        setTimeout(() => client.resume(), (1000 * passed.length) / this.bytesPerSecond);
      }
      if (!host.write(passed)) {
        client.pause();
        host.once("drain", () => client.resume());
      }
      if (sent < limit) return;
      host.end();
      client.resetAndDestroy();
    });
    host.on("data", (data: Buffer) => {
      if (!this.#silent) client.write(data);
    });
  }
}
