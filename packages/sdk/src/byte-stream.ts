import { SkerryError, errorCodes, type ErrorCode } from "@skerry/model";
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

/** Opens an authenticated WebSocket: with a header where the platform can, else with `browserProtocols`. */
export type OpenSocket = (url: string, token: string) => Socket;

/** For `new WebSocket(url, protocols)` in browsers, which can't set headers. */
export function browserProtocols(token: string): readonly string[] {
  return ["skerry.v1", `bearer.${token}`];
}

/** Bytes that may wait in a socket before writers wait too. */
const highWaterBytes = 256 * 1024;
/** The server closes with it what the node could not open; the reason is `code: detail`. */
const refusedCode = 4000;

const remedy = "Check that the instance runs and its node is connected: `skerry instance show`, `skerry node list`.";

export interface StreamRequest {
  readonly openSocket: OpenSocket;
  readonly url: string;
  readonly token: string;
  /** Asks the server by plain HTTP why it refused: a WebSocket does not tell. */
  readonly whyRefused: () => Promise<unknown>;
}

/** A byte stream over a WebSocket of binary messages; open once its far end is. @throws SkerryError where it does not open */
export async function openByteStream(request: StreamRequest, signal?: AbortSignal): Promise<ByteStream> {
  signal?.throwIfAborted();
  const socket = request.openSocket(request.url, request.token);
  socket.binaryType = "arraybuffer";
  const close = (): void => socket.close(1000);
  const readable = readFrom(socket, close);
  /** Undefined once the far end is open; else why it is not, as far as a WebSocket tells. */
  const opened = Promise.withResolvers<{ readonly refusal?: Error | undefined } | undefined>();
  let handshaken = false;
  const abort = (): void => {
    close();
    opened.reject(signal?.reason);
  };
  socket.addEventListener("open", () => (handshaken = true));
  // The first message, an empty one, says that the far end is open.
  socket.addEventListener("message", () => opened.resolve(undefined));
  socket.addEventListener("error", () => opened.resolve({}));
  socket.addEventListener("close", (event) => opened.resolve({ refusal: refusal(event) }));
  signal?.addEventListener("abort", abort, { once: true });
  try {
    const failure = await opened.promise;
    if (failure !== undefined) {
      if (failure.refusal === undefined && !handshaken) await request.whyRefused();
      throw failure.refusal ?? notOpened();
    }
  } finally {
    signal?.removeEventListener("abort", abort);
  }
  return { readable, writable: writeTo(socket), close };
}

/** What a close tells; undefined where it tells nothing. */
function refusal({ code, reason = "" }: SocketEvent): SkerryError | undefined {
  const [, word = "", detail = ""] = /^([a-z-]+): (.*)$/s.exec(reason) ?? [];
  if (code !== refusedCode || !isErrorCode(word)) return undefined;
  return new SkerryError(word, detail, { remedy });
}

function isErrorCode(word: string): word is ErrorCode {
  return (errorCodes as readonly string[]).includes(word);
}

function notOpened(): SkerryError {
  return new SkerryError("unavailable", "The stream could not be opened.", {
    remedy: "Try again; where a proxy stands before the server, it must pass WebSockets on.",
  });
}

function readFrom(socket: Socket, close: () => void): ReadableStream<Uint8Array> {
  // Whoever ends first, the socket or the reader, the other's end changes nothing more.
  let open = true;
  return new ReadableStream<Uint8Array>({
    start: (controller) => {
      socket.addEventListener("message", ({ data }) => {
        if (open && data instanceof ArrayBuffer && data.byteLength > 0) controller.enqueue(new Uint8Array(data));
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
