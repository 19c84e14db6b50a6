import { WebSocket } from "ws";
import { SkerryError } from "@skerry/model";
import { decodeServerMessage, encodeMessage, helloPayload, linkPath, protocolVersion } from "@skerry/protocol";
import type { AgentMessage, ServerMessage } from "@skerry/protocol";
import { agentVersion } from "../agent-version.ts";
import { signWith } from "../identity.ts";
import type { Identity } from "../identity.ts";
import { openServerSocket } from "./server-socket.ts";

export type Welcome = Extract<ServerMessage, { type: "welcome" }>;
export type Refusal = Extract<ServerMessage, { type: "refused" }>;

/** How long a goodbye waits for its answer. */
const goodbyeMs = 1000;
/** From the connection to the server's verdict. */
const verdictMs = 20_000;

/** One connection to the server, after the server's verdict on this node. */
export interface Session {
  readonly welcome: Welcome;
  /** The version of the protocol that both sides speak. */
  readonly spokenVersion: number;
  /** This host's address on the way to the server. */
  readonly localAddress: string | undefined;
  /** Bytes that wait to be taken by the network. */
  bufferedBytes(): number;
  send(message: AgentMessage): void;
  /** Sends a WebSocket ping; the pong is told to `onAlive`. */
  ping(): void;
  /** Says goodbye, and hangs up where the server does not answer that. */
  close(why: string): void;
  readonly closed: Promise<SessionEnd>;
}

/** Who ended a session, and why; for the log. */
export interface SessionEnd {
  /** `network`: the connection is gone without a goodbye. */
  readonly endedBy: "server" | "agent" | "network";
  /** The WebSocket's close code; 1006 where there was no goodbye. */
  readonly closeCode: number;
  readonly reason: string;
}

export interface SessionHandlers {
  /** Messages after the welcome, in order. */
  readonly onMessage: (message: ServerMessage) => void;
  /** Called for whatever comes from the server. */
  readonly onAlive: () => void;
  /** A message that this version can't read; the session goes on. */
  readonly onUnreadable: (error: unknown) => void;
}

/**
 * Connects, proves the node's key, and waits for the verdict.
 * @throws SkerryError host-unreachable; LinkRefused where the server does not want this node
 */
export async function openSession(
  identity: Identity,
  wantedRevision: number,
  handlers: SessionHandlers,
  signal: AbortSignal,
): Promise<Session> {
  signal.throwIfAborted();
  const socket = openServerSocket(identity.server, linkPath, identity.authority);
  const { promise, resolve, reject } = Promise.withResolvers<Session>();
  const { promise: closed, resolve: settleClosed } = Promise.withResolvers<SessionEnd>();
  let localAddress: string | undefined;
  let welcomed = false;
  let spokenVersion = 0;
  /** Why this side hangs up, and what the library found wrong. */
  let ownReason: string | undefined;
  let fault: string | undefined;
  const fail = (error: Error): void => {
    reject(error);
    socket.terminate();
  };
  const send = (message: AgentMessage): void => {
    if (socket.readyState === WebSocket.OPEN) socket.send(encodeMessage(message));
  };
  const timer = setTimeout(
    () => fail(new SkerryError("host-unreachable", "The server did not say whether it takes this node.")),
    verdictMs,
  );
  const onAbort = (): void => fail(new SkerryError("operation-cancelled", "The agent stops."));
  signal.addEventListener("abort", onAbort, { once: true });

  const settle = (message: ServerMessage): void => {
    if (message.type === "challenge") {
      const { nodeId, key } = identity;
      const signature = signWith(key, helloPayload(message.nonce, nodeId));
      // A server that is older than this agent takes its own version and the one before.
      spokenVersion = Math.min(protocolVersion, message.protocolVersion);
      send({ type: "hello", nodeId, protocolVersion: spokenVersion, agentVersion, signature, wantedRevision });
    } else if (message.type === "refused") fail(new LinkRefused(message, identity.server));
    else if (message.type === "welcome") {
      welcomed = true;
      clearTimeout(timer);
      // From here on whoever holds the session ends it, with a goodbye.
      signal.removeEventListener("abort", onAbort);
      const ping = (): void => {
        if (socket.readyState === WebSocket.OPEN) socket.ping();
      };
      const close = (why: string): void => {
        ownReason ??= why;
        socket.close(1000);
        setTimeout(() => socket.terminate(), goodbyeMs).unref();
      };
      resolve({
        welcome: message,
        spokenVersion,
        localAddress,
        bufferedBytes: () => socket.bufferedAmount,
        send,
        ping,
        close,
        closed,
      });
    }
  };
  socket.on("upgrade", (response) => {
    localAddress = response.socket.localAddress;
  });
  socket.on("message", (data, isBinary) => {
    handlers.onAlive();
    let message: ServerMessage;
    try {
      message = decodeServerMessage(isBinary ? "" : textOf(data));
    } catch (error) {
      handlers.onUnreadable(error);
      return;
    }
    if (!welcomed) settle(message);
    else if (message.type === "ping") send({ type: "pong" });
    else handlers.onMessage(message);
  });
  socket.on("pong", handlers.onAlive);
  socket.on("ping", handlers.onAlive);
  socket.on("error", (error) => {
    fault = error.message;
    fail(
      new SkerryError("host-unreachable", `The server ${identity.server} cannot be reached: ${error.message}`, {
        cause: error,
      }),
    );
  });
  socket.on("close", (code, said) => {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    reject(new SkerryError("host-unreachable", `The server closed the link (${code}).`));
    const reason = said.toString("utf8");
    if (ownReason !== undefined) settleClosed({ endedBy: "agent", closeCode: code, reason: ownReason });
    else if (code === 1006)
      settleClosed({ endedBy: "network", closeCode: code, reason: fault ?? "the connection was lost" });
    else if (fault !== undefined)
      settleClosed({ endedBy: "agent", closeCode: code, reason: `protocol error: ${fault}` });
    else settleClosed({ endedBy: "server", closeCode: code, reason });
  });
  return promise;
}

/** The server knows why it doesn't want this node; asking again soon is no use. */
export class LinkRefused extends SkerryError {
  readonly refusal: Refusal;

  /** @param server where a node that it does not know any more can join anew */
  constructor(refusal: Refusal, server: string) {
    const remedy =
      "If the node was deleted there, join anew with a fresh token and this agent's --data-dir, then start the agent again: " +
      `skerry agent join --server ${server} --token TOKEN --data-dir DIR`;
    super(
      "join-refused",
      `The server refuses this node: ${refusal.detail} (${refusal.code})`,
      refusal.code === "unauthenticated" ? { remedy } : {},
    );
    this.refusal = refusal;
  }
}

function textOf(data: Buffer | ArrayBuffer | Buffer[]): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString("utf8");
  return Buffer.isBuffer(data) ? data.toString("utf8") : Buffer.from(data).toString("utf8");
}
