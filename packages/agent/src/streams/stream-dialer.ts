import { pipeline } from "node:stream";
import type { Duplex, Readable } from "node:stream";
import { createWebSocketStream } from "ws";
import { SkerryError } from "@skerry/model";
import { streamPath } from "@skerry/protocol";
import type { StreamTarget, WantedState } from "@skerry/protocol";
import type { ComputeDriver } from "../drivers/compute.ts";
import type { Identity } from "../identity.ts";
import { openServerSocket } from "../link/server-socket.ts";
import type { Log } from "../log.ts";

export interface StreamDialerDeps {
  readonly identity: Identity;
  readonly compute: ComputeDriver;
  readonly wanted: () => WantedState | undefined;
  readonly log: Log;
}

/** Streams at once; a client that opens more has to close some. */
const maxStreams = 64;
const openMs = 15_000;
/** Bytes of the console log that are sent at most, from before its end. */
const logBytes = 256 * 1024;

/** What a guest sends, and what takes what is sent to it. A log only sends, whatever its stream could do. */
interface GuestEnd {
  readonly from: Readable;
  readonly to?: Duplex;
}

/** Connects consoles and ports of guests with the control plane, by connections that the node opens. */
export class StreamDialer {
  readonly #deps: StreamDialerDeps;
  #open = 0;

  constructor(deps: StreamDialerDeps) {
    this.#deps = deps;
  }

  /** Returns once the stream is connected at both ends; it then lives until one of them ends it or `signal` is aborted. */
  async dial(streamId: string, target: StreamTarget, sessionToken: string, signal: AbortSignal): Promise<void> {
    if (this.#open >= maxStreams) {
      throw new SkerryError("too-many-requests", `This node has ${maxStreams} streams open.`, {
        remedy: "Close some consoles or connections.",
      });
    }
    this.#open += 1;
    try {
      const guest = await this.#connect(target, signal);
      this.#join(guest, streamId, sessionToken, signal);
    } catch (error) {
      this.#open -= 1;
      throw error;
    }
  }

  async #connect(target: StreamTarget, signal: AbortSignal): Promise<GuestEnd> {
    const { compute, wanted } = this.#deps;
    const instance = wanted()?.instances.find((each) => each.id === target.instanceId);
    if (instance === undefined)
      throw new SkerryError("not-found", `Instance ${target.instanceId} is not on this node.`);
    switch (target.kind) {
      case "console":
        return both(await compute.console(instance.id, signal));
      case "console-log":
        return { from: await compute.consoleLog(instance.id, { follow: target.follow, maxBytes: logBytes }, signal) };
      case "port": {
        const address = instance.nics[0]?.address.split("/")[0];
        if (address === undefined)
          throw new SkerryError("conflict", `Instance ${instance.name} has no address: it is on no network.`);
        return both(await this.#dialPort(instance.id, address, target.port, signal));
      }
    }
  }

  /** The deadline is for the opening alone: the signal that a driver is given may hold for the whole stream. */
  async #dialPort(instanceId: string, address: string, port: number, signal: AbortSignal): Promise<Duplex> {
    const late = new AbortController();
    const timer = setTimeout(
      () =>
        late.abort(
          new SkerryError("deadline-exceeded", `${address}:${port} did not answer within ${openMs / 1000} s.`),
        ),
      openMs,
    );
    try {
      return await this.#deps.compute.dial(instanceId, address, port, AbortSignal.any([signal, late.signal]));
    } finally {
      clearTimeout(timer);
    }
  }

  #join({ from, to }: GuestEnd, streamId: string, sessionToken: string, signal: AbortSignal): void {
    const { identity, log } = this.#deps;
    const socket = openServerSocket(identity.server, streamPath + streamId, identity.authority, {
      authorization: `Bearer ${sessionToken}`,
    });
    const remote = createWebSocketStream(socket);
    const abort = (): void => {
      from.destroy();
      socket.terminate();
    };
    signal.addEventListener("abort", abort, { once: true });
    // Errors are how streams end when a peer goes away; both ends are closed whatever happened.
    const settle = (): void => undefined;
    pipeline(from, remote, settle);
    // The last bytes for the guest are written before its end is closed: a serial line never ends by itself.
    if (to === undefined) remote.resume().once("end", () => from.destroy());
    else pipeline(remote, to, () => to.destroy());
    from.once("close", () => {
      signal.removeEventListener("abort", abort);
      this.#open -= 1;
      log.info({ streamId }, "a stream ended");
    });
  }
}

function both(stream: Duplex): GuestEnd {
  return { from: stream, to: stream };
}
