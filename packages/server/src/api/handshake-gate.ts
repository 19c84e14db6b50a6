import type { Socket } from "node:net";
import type { Server, TLSSocket } from "node:tls";
import { addressSource } from "../authorisation/failure-limit.ts";

export interface HandshakeLimits {
  /** Handshakes at a time: each costs about a millisecond of the one thread that also serves. */
  readonly maxInFlight: number;
  /** A peer that is silent for so long costs nothing, and gives its turn to another; its handshake may still end well. */
  readonly turnMs: number;
  /** The same of one address, so that it leaves some for others; of IPv6 of one network. */
  readonly maxInFlightPerAddress: number;
  /** Connections that wait for theirs, unread; more are hung up on, and agents come back later. */
  readonly maxWaiting: number;
  readonly maxWaitingPerAddress: number;
  /** A peer that waited so long has given up by then. */
  readonly maxWaitMs: number;
}

export const defaultHandshakeLimits: HandshakeLimits = {
  maxInFlight: 32,
  maxInFlightPerAddress: 24,
  turnMs: 1000,
  maxWaiting: 4096,
  maxWaitingPerAddress: 3072,
  maxWaitMs: 15_000,
};

export interface HandshakeGate {
  /** Hangs up on who waits or is at it, and on whoever comes. */
  close(): void;
}

interface Waiting {
  readonly socket: Socket;
  readonly sinceMs: number;
}

/** Those who wait, by address. Each address has its turn after the others', however many of it wait. */
class Queue {
  readonly #byAddress = new Map<string, Waiting[]>();
  size = 0;

  of(address: string): number {
    return this.#byAddress.get(address)?.length ?? 0;
  }

  add(address: string, one: Waiting): void {
    const others = this.#byAddress.get(address);
    if (others === undefined) this.#byAddress.set(address, [one]);
    else others.push(one);
    this.size++;
  }

  /** The next one of the first address that `may`; undefined where there is none. */
  take(may: (address: string) => boolean): Waiting | undefined {
    for (const [address, others] of this.#byAddress) {
      if (!may(address)) continue;
      const first = others.shift();
      this.size--;
      // A map keeps its order: set anew, the address is its last.
      this.#byAddress.delete(address);
      if (others.length > 0) this.#byAddress.set(address, others);
      return first;
    }
    return undefined;
  }

  clear(): void {
    for (const others of this.#byAddress.values()) for (const { socket } of others) socket.destroy();
    this.#byAddress.clear();
    this.size = 0;
  }
}

/**
 * Lets a TLS server begin a bounded number of handshakes at a time, in the order of arrival and address by address, so that neither a fleet
 * that comes back at once starves those who are connected, nor one host the others. The server must have been made with `pauseOnConnect`.
 */
export function limitHandshakes(server: Server, limits: HandshakeLimits): HandshakeGate {
  const begin = server.listeners("connection") as ((this: Server, socket: Socket) => void)[];
  server.removeAllListeners("connection");
  /** Not ended yet, by the peer's address and port; the TLS socket that is born of a connection has the same. */
  const handshakes = new Map<string, Socket>();
  const waiting = new Queue();
  /** Each with the address that it counts for. */
  const inTurn = new Map<Socket, string>();
  const inTurnOf = new Map<string, number>();
  let closed = false;

  const mayBegin = (address: string): boolean =>
    inTurn.size < limits.maxInFlight && (inTurnOf.get(address) ?? 0) < limits.maxInFlightPerAddress;
  const admit = (socket: Socket): void => {
    const key = peerOf(socket);
    const address = addressSource(socket.remoteAddress ?? "");
    const turn = setTimeout(() => release(socket), limits.turnMs).unref();
    handshakes.set(key, socket);
    inTurn.set(socket, address);
    inTurnOf.set(address, (inTurnOf.get(address) ?? 0) + 1);
    socket.once("close", () => {
      clearTimeout(turn);
      if (handshakes.get(key) === socket) handshakes.delete(key);
      release(socket);
    });
    for (const listener of begin) listener.call(server, socket);
  };
  const release = (socket: Socket): void => {
    const address = inTurn.get(socket);
    if (address === undefined) return;
    inTurn.delete(socket);
    const left = (inTurnOf.get(address) ?? 1) - 1;
    if (left === 0) inTurnOf.delete(address);
    else inTurnOf.set(address, left);
    next();
  };
  const next = (): void => {
    while (inTurn.size < limits.maxInFlight) {
      const first = waiting.take(mayBegin);
      if (first === undefined) return;
      if (performance.now() - first.sinceMs > limits.maxWaitMs) first.socket.destroy();
      else if (!first.socket.destroyed) admit(first.socket);
    }
  };

  server.on("connection", (socket: Socket) => {
    const address = addressSource(socket.remoteAddress ?? "");
    // One that is gone already has no address; its handshake would only fail.
    if (closed || socket.remotePort === undefined) socket.destroy();
    else if (mayBegin(address)) admit(socket);
    else if (waiting.size < limits.maxWaiting && waiting.of(address) < limits.maxWaitingPerAddress)
      waiting.add(address, { socket, sinceMs: performance.now() });
    else socket.destroy();
  });
  server.on("secureConnection", (secured: TLSSocket) => {
    const key = peerOf(secured);
    const socket = handshakes.get(key);
    handshakes.delete(key);
    if (socket !== undefined) release(socket);
  });

  return {
    close() {
      closed = true;
      waiting.clear();
      for (const socket of handshakes.values()) socket.destroy();
    },
  };
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress ?? ""} ${remotePort ?? ""}`;
}
