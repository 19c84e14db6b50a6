import { createServer, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { SkerryError } from "@skerry/model";
import type { ByteStream } from "@skerry/sdk";

export interface PortForward {
  /** On 127.0.0.1; 0 takes a free one. */
  readonly localPort: number;
  /** Opens one stream to the guest's port; called once per connection. */
  open(): Promise<ByteStream>;
  onListening(port: number): void;
}

/** Serves the forward until the signal aborts. @throws SkerryError conflict where the local port is taken */
export async function forwardPort(forward: PortForward, signal: AbortSignal): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    // One connection's failure is its own: the client sees it closed.
    void join(socket, forward).catch(() => socket.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      reject(
        error.code === "EADDRINUSE"
          ? new SkerryError("conflict", `Port ${forward.localPort} of this machine is taken.`, {
              remedy: "Choose another: LOCAL:GUEST.",
            })
          : error,
      );
    });
    server.listen(forward.localPort, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address !== null && typeof address === "object") forward.onListening(address.port);
  await new Promise<void>((resolve) => {
    const end = (): void => {
      for (const socket of sockets) socket.destroy();
      server.close(() => resolve());
    };
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}

async function join(socket: Socket, forward: PortForward): Promise<void> {
  const stream = await forward.open();
  const guest = Duplex.fromWeb({ readable: stream.readable, writable: stream.writable });
  try {
    await Promise.all([pipeline(socket, guest, { end: true }), pipeline(guest, socket, { end: true })]);
  } finally {
    stream.close();
  }
}
