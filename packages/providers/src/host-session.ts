import type { HostTarget } from "./host-target.ts";
import type { SshConnection } from "./ssh-connection.ts";
import { connectToHost, defaultConnectionTimes, type ConnectionTimes } from "./ssh-handshake.ts";

/** How long a connection waits for the next step; a step begun later connects anew, which costs ~6 round trips. */
const lingerMs = 5_000;

/** A host that steps talk to one after the other over one connection, made when it is first needed and again when it was lost. */
export class HostSession {
  readonly target: HostTarget;
  readonly nodeName: string;
  readonly #times: ConnectionTimes;
  #connection: SshConnection | undefined;
  #closing: NodeJS.Timeout | undefined;

  constructor(target: HostTarget, nodeName: string, times: ConnectionTimes = defaultConnectionTimes) {
    this.target = target;
    this.nodeName = nodeName;
    this.#times = times;
  }

  /** Runs `work` with an open connection; after a failure the next call connects anew. */
  async use<T>(work: (connection: SshConnection) => Promise<T>, signal: AbortSignal): Promise<T> {
    clearTimeout(this.#closing);
    try {
      if (this.#connection?.isOpen !== true)
        this.#connection = await connectToHost(this.target, this.nodeName, signal, this.#times);
      const result = await work(this.#connection);
      this.#closing = setTimeout(() => this.close(), lingerMs);
      return result;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    clearTimeout(this.#closing);
    this.#connection?.close();
    this.#connection = undefined;
  }
}
