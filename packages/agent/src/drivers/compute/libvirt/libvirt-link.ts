import { setTimeout as delay } from "node:timers/promises";
import * as calls from "./libvirt-calls.ts";
import { isLifecycleEvent, RpcConnection } from "./rpc-connection.ts";

/** Pauses between attempts to connect again, doubling from the first to the second, ms; each is shortened at random by up to half. */
const retryMs = { first: 250, longest: 15_000 };
/** How long libvirt may take to let us in. */
const openMs = 10_000;

/**
 * The agent's one connection to libvirt, made when it is first needed and again when it was lost, so that a restart of the
 * daemon is no more than a gap. While somebody listens for changes it is kept up without being asked.
 */
export class LibvirtLink {
  readonly #path: string;
  readonly #uri: string;
  readonly #listeners = new Set<() => void>();
  #connection: Promise<RpcConnection> | undefined;
  #keeping = false;

  constructor(path: string, uri: string) {
    this.#path = path;
    this.#uri = uri;
  }

  /** @throws SkerryError node-driver-failed where libvirt does not answer */
  async connection(signal: AbortSignal): Promise<RpcConnection> {
    signal.throwIfAborted();
    // One attempt serves all who ask; whoever gives up meanwhile does not end it for the others.
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await Promise.race([this.#attempt(), aborted.promise]);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    void this.#keep();
    return () => void this.#listeners.delete(listener);
  }

  /** Ends the connection and the listening. */
  close(): void {
    this.#listeners.clear();
    void this.#connection?.then(
      (open) => open.close(),
      () => undefined,
    );
  }

  #attempt(): Promise<RpcConnection> {
    if (this.#connection !== undefined) return this.#connection;
    // A connection that failed late must not take a newer one's place.
    const forget = (): void => {
      if (this.#connection === attempt) this.#connection = undefined;
    };
    const attempt = this.#open(() => {
      forget();
      // What happened in the gap is not known.
      this.#tell();
      void this.#keep();
    });
    attempt.catch(forget);
    this.#connection = attempt;
    return attempt;
  }

  async #open(ended: () => void): Promise<RpcConnection> {
    const signal = AbortSignal.timeout(openMs);
    const connection = await RpcConnection.open(
      this.#path,
      (procedure) => {
        if (isLifecycleEvent(procedure)) this.#tell();
      },
      ended,
      signal,
    );
    try {
      await calls.open(connection, this.#uri, signal);
      await calls.listenForLifecycle(connection, signal);
    } catch (error) {
      connection.close();
      throw error;
    }
    connection.unref();
    return connection;
  }

  /** Connects until it succeeds, as long as somebody listens. */
  async #keep(): Promise<void> {
    if (this.#keeping) return;
    this.#keeping = true;
    for (
      let pauseMs = retryMs.first;
      this.#listeners.size > 0 && this.#connection === undefined;
      pauseMs = Math.min(pauseMs * 2, retryMs.longest)
    ) {
      try {
        await this.connection(AbortSignal.timeout(openMs));
        this.#tell();
      } catch {
        // Calls say why to those who ask; here it is only tried again.
        await delay(pauseMs * (1 - Math.random() / 2), undefined, { ref: false });
      }
    }
    this.#keeping = false;
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
