import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { SkerryError } from "@skerry/model";
import { readError } from "./libvirt-error.ts";
import { encodeCall, MessageSplitter, procedures, type Procedure, type RpcMessage } from "./rpc-message.ts";
import { XdrReader } from "./xdr.ts";

interface Pending {
  readonly resolve: (payload: Buffer) => void;
  readonly reject: (error: Error) => void;
}

/**
 * One connection to libvirt's daemon: many calls at once, told apart by serial numbers, with events in between. When it ends,
 * for whatever reason, every open call is rejected and `onEnd` is called once.
 */
export class RpcConnection {
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  readonly #onEvent: (procedure: number) => void;
  #serial = 0;
  #ended = false;

  private constructor(socket: Socket, onEvent: (procedure: number) => void, onEnd: () => void) {
    this.#socket = socket;
    this.#onEvent = onEvent;
    const splitter = new MessageSplitter();
    socket.on("data", (chunk) => {
      try {
        for (const message of splitter.push(chunk)) this.#receive(message);
      } catch (error) {
        socket.destroy(error instanceof Error ? error : new Error(String(error)));
      }
    });
    let cause: Error | undefined;
    socket.on("error", (error) => (cause = error));
    socket.on("close", () => {
      this.#ended = true;
      const lost = unreachable("The connection to libvirt ended", cause);
      for (const { reject } of this.#pending.values()) reject(lost);
      this.#pending.clear();
      onEnd();
    });
  }

  /** @throws SkerryError node-driver-failed where nothing listens at the path */
  static async open(
    path: string,
    onEvent: (procedure: number) => void,
    onEnd: () => void,
    signal: AbortSignal,
  ): Promise<RpcConnection> {
    const socket = connect({ path });
    try {
      await once(socket, "connect", { signal });
    } catch (error) {
      socket.destroy();
      signal.throwIfAborted();
      throw unreachable(`Libvirt can't be reached at ${path}`, error);
    }
    return new RpcConnection(socket, onEvent, onEnd);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Does not keep the process alive while nothing is asked. */
  unref(): void {
    this.#socket.unref();
  }

  /**
   * Asks and waits for the answer. An abort stops the waiting, not what libvirt does.
   * @throws LibvirtError with libvirt's number and words @throws SkerryError node-driver-failed where the connection ended
   */
  async call(procedure: Procedure, payload: Uint8Array, signal: AbortSignal): Promise<XdrReader> {
    signal.throwIfAborted();
    if (this.#ended) throw unreachable("The connection to libvirt ended");
    this.#serial = (this.#serial + 1) >>> 0;
    const serial = this.#serial;
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    this.#pending.set(serial, { resolve, reject });
    const abort = (): void => {
      this.#pending.delete(serial);
      reject(signal.reason instanceof Error ? signal.reason : new Error("aborted", { cause: signal.reason }));
    };
    signal.addEventListener("abort", abort, { once: true });
    this.#socket.ref();
    this.#socket.write(encodeCall(procedure, serial, payload));
    try {
      return new XdrReader(await promise);
    } finally {
      signal.removeEventListener("abort", abort);
      if (this.#pending.size === 0) this.#socket.unref();
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(message: RpcMessage): void {
    if (message.kind === "event") this.#onEvent(message.procedure);
    if (message.kind !== "reply") return;
    const pending = this.#pending.get(message.serial);
    // The answer to a call that was given up.
    if (pending === undefined) return;
    // An error that can't be read ends the connection, which then rejects this call too.
    if (message.ok) pending.resolve(message.payload);
    else pending.reject(readError(new XdrReader(message.payload)));
    this.#pending.delete(message.serial);
  }
}

export function isLifecycleEvent(procedure: number): boolean {
  return procedure === procedures.lifecycleEvent;
}

function unreachable(what: string, cause?: unknown): SkerryError {
  const words = cause instanceof Error ? `: ${cause.message}` : "";
  return new SkerryError("node-driver-failed", `${what}${words}.`, {
    remedy: "See on the node that libvirt is installed and runs: systemctl status libvirtd.",
    ...(cause === undefined ? {} : { cause }),
  });
}
