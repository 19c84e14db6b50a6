import { SkerryError } from "@skerry/model";
import type { ByteStream } from "./client.ts";

/** The part of WHATWG WebSocket that is used. */
export interface Socket {
  binaryType: string;
  readonly bufferedAmount: number;
  send(data: Uint8Array): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "open" | "message" | "close" | "error", listener: (event: SocketEvent) => void): void;
}

export interface SocketEvent {
  readonly data?: unknown;
  readonly code?: number;
  readonly reason?: string;
}

/** Opens an authenticated WebSocket: with a header where the platform can, else with a subprotocol. */
export type OpenSocket = (url: string, token: string) => Socket;

/** Bytes that may wait in a socket before writers wait too. */
const highWaterBytes = 256 * 1024;

/** A byte stream over a WebSocket of binary frames. @throws SkerryError where it does not open */
export async function openByteStream(openSocket: OpenSocket, url: string, token: string, signal?: AbortSignal): Promise<ByteStream> {
  const socket = openSocket(url, token);
  socket.binaryType = "arraybuffer";
  const close = (): void => socket.close(1000);
  const readable = readFrom(socket, close);
  await new Promise<void>((resolve, reject) => {
    const refused = (event: SocketEvent): void =>
      reject(new SkerryError("node-disconnected", `The stream could not be opened${event.reason ? `: ${event.reason}` : ""}.`, { remedy: "Check that the instance runs and its node is connected: `skerry instance show`, `skerry node list`." }));
    socket.addEventListener("open", () => resolve());
    socket.addEventListener("error", refused);
    socket.addEventListener("close", refused);
    signal?.addEventListener("abort", () => {
      close();
      reject(signal.reason as Error);
    }, { once: true });
  });
  return { readable, writable: writeTo(socket), close };
}

function readFrom(socket: Socket, close: () => void): ReadableStream<Uint8Array> {
  // Whoever ends first, the socket or the reader, the other's end changes nothing more.
  let open = true;
  return new ReadableStream<Uint8Array>({
    start: (controller) => {
      socket.addEventListener("message", ({ data }) => {
        if (open && data instanceof ArrayBuffer) controller.enqueue(new Uint8Array(data));
      });
      socket.addEventListener("close", () => {
        if (open) controller.close();
        open = false;
      });
    },
    cancel: () => {
      open = false;
      close();
    },
  });
}

function writeTo(socket: Socket): WritableStream<Uint8Array> {
  return new WritableStream<Uint8Array>({
    write: async (chunk) => {
      socket.send(chunk);
      // A WebSocket has no drain event; its buffer is looked at until it is small again.
      while (socket.bufferedAmount > highWaterBytes) await new Promise((resolve) => setTimeout(resolve, 5));
    },
    close: () => socket.close(1000),
    abort: () => socket.close(1000),
  });
}
