import type { Socket } from "node:net";
import type { Server, TLSSocket } from "node:tls";

export interface HandshakeLimits {
  /** Handshakes at a time: each costs about a millisecond of the one thread that also serves. */
  readonly maxInFlight: number;
  /** A peer that is silent for so long costs nothing, and gives its turn to another; its handshake may still end well. */
  readonly turnMs: number;
  /** Connections that wait for theirs, unread; more are hung up on, and agents come back later. */
  readonly maxWaiting: number;
  /** A peer that waited so long has given up by then. */
  readonly maxWaitMs: number;
}

export const defaultHandshakeLimits: HandshakeLimits = {
  maxInFlight: 32,
  turnMs: 1000,
  maxWaiting: 4096,
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

/**
 * Lets a TLS server begin a bounded number of handshakes at a time, in the order of arrival, so that a fleet that comes
 * back at once does not starve those who are connected. The server must have been made with `pauseOnConnect`.
 */
export function limitHandshakes(server: Server, limits: HandshakeLimits): HandshakeGate {
  const begin = server.listeners("connection") as ((this: Server, socket: Socket) => void)[];
  server.removeAllListeners("connection");
  /** Not ended yet, by the peer's address and port; the TLS socket that is born of a connection has the same. */
  const handshakes = new Map<string, Socket>();
  const waiting = new Set<Waiting>();
  const inTurn = new Set<Socket>();
  let closed = false;

  const admit = (socket: Socket): void => {
    const key = peerOf(socket);
    const turn = setTimeout(() => release(socket), limits.turnMs).unref();
    handshakes.set(key, socket);
    inTurn.add(socket);
    socket.once("close", () => {
      clearTimeout(turn);
      if (handshakes.get(key) === socket) handshakes.delete(key);
      release(socket);
    });
    for (const listener of begin) listener.call(server, socket);
  };
  const release = (socket: Socket): void => {
    if (inTurn.delete(socket)) next();
  };
  const next = (): void => {
    while (inTurn.size < limits.maxInFlight) {
      const [first] = waiting;
      if (first === undefined) return;
      waiting.delete(first);
      if (performance.now() - first.sinceMs > limits.maxWaitMs) first.socket.destroy();
      else if (!first.socket.destroyed) admit(first.socket);
    }
  };

  server.on("connection", (socket: Socket) => {
    // One that is gone already has no address; its handshake would only fail.
    if (closed || socket.remotePort === undefined) socket.destroy();
    else if (inTurn.size < limits.maxInFlight) admit(socket);
    else if (waiting.size < limits.maxWaiting) waiting.add({ socket, sinceMs: performance.now() });
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
      for (const { socket } of waiting) socket.destroy();
      waiting.clear();
      for (const socket of handshakes.values()) socket.destroy();
    },
  };
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress ?? ""} ${remotePort ?? ""}`;
}
