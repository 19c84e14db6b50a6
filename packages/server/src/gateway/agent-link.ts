import type { WebSocket } from "ws";
import { SkerryError } from "@skerry/model";
import {
  decodeAgentMessage,
  encodeMessage,
  helloPayload,
  maxMessageBytes,
  changeVersion,
  protocolVersion,
  type AgentMessage,
  type ObservedState,
  type ServerMessage,
} from "@skerry/protocol";
import { mintSecret } from "../authorisation/secret.ts";
import type { Clock } from "../operations/clock.ts";
import type { Log } from "../operations/log.ts";
import { isSignedBy } from "../pki/node-key.ts";
import type { GatewayDelegate } from "./gateway.ts";

/** An agent must prove its key by then. */
const helloDeadlineMs = 5000;
/** A link that says nothing for so many heartbeats is dead. */
const silentHeartbeats = 3;
/** An agent that lets more than this wait takes nothing any more. */
const maxUnsentBytes = 2 * maxMessageBytes;

type Hello = Extract<AgentMessage, { type: "hello" }>;

export interface AgentLinkDeps {
  readonly delegate: GatewayDelegate;
  readonly clock: Clock;
  readonly log: Log;
  readonly heartbeatMs: number;
  /** Called once the agent has proved its key, before it is welcomed. */
  readonly proved: (link: AgentLink, nodeId: string) => void;
  readonly streamFailed: (nodeId: string, streamId: string, detail: string) => void;
  /** Called once, whatever ended it. */
  readonly ended: (link: AgentLink, end: LinkEnd) => void;
}

/** Who ended a link, and why; for the log. */
export interface LinkEnd {
  /** `network`: the connection is gone without a goodbye. */
  readonly endedBy: "server" | "agent" | "network";
  /** The WebSocket's close code; 1006 where there was no goodbye. */
  readonly closeCode: number;
  readonly reason: string;
}

/**
 * One agent's link: a challenge, the agent's signed hello, then wanted states down and reports up. Whatever the agent
 * sends that is not a message ends this link and touches nothing else.
 */
export class AgentLink {
  /** Authenticates the agent's streams and downloads while this link lives. */
  readonly session = mintSecret();
  readonly #webSocket: WebSocket;
  readonly #deps: AgentLinkDeps;
  readonly #nonce = mintSecret().secret;
  #nodeId: string | undefined;
  /** Whether the agent is of a version that takes changes of a wanted state. */
  #takesChanges = false;
  #heardMs: number;
  #cancelTimer: () => void;
  #ended = false;
  /** What the library found wrong with the connection or with what came over it. */
  #fault: string | undefined;
  readonly #sinceMs: number;
  /** The newest report that waits while an older one is recorded; a report is a whole state, so one is enough. */
  #newestReport: ObservedState | undefined;
  #recording = false;
  #sentRevision: number | undefined;

  constructor(webSocket: WebSocket, deps: AgentLinkDeps) {
    this.#webSocket = webSocket;
    this.#deps = deps;
    this.#heardMs = deps.clock.monotonicMs();
    this.#sinceMs = this.#heardMs;
    webSocket.on("message", (data, isBinary) => this.#receive(data as Buffer, isBinary));
    webSocket.once("error", (error) => (this.#fault = error.message));
    webSocket.once("close", (closeCode, reason) => this.#end(this.#seen(closeCode, reason.toString("utf8"))));
    this.#cancelTimer = deps.clock.setTimer(helloDeadlineMs, () => this.close(1008, "no hello in time"));
    this.#send({ type: "challenge", nonce: this.#nonce, protocolVersion });
  }

  /** Undefined until the agent has proved who it is. */
  get nodeId(): string | undefined {
    return this.#nodeId;
  }

  /**
   * Brings the agent's wanted state up to what it is now: by what has changed of what this link sent last, else whole. Returns whether
   * the newest is on its way or there already.
   */
  sendWanted(): boolean {
    if (this.#nodeId === undefined) return false;
    const { delegate } = this.#deps;
    const since = this.#takesChanges ? this.#sentRevision : undefined;
    const change = since === undefined ? undefined : delegate.wantedChangeOf(this.#nodeId, since);
    if (change !== undefined) {
      if (change.revision === since) return true;
      return this.#sent(change.revision, { type: "wanted-change", change });
    }
    const state = delegate.wantedStateOf(this.#nodeId);
    if (state === undefined || state.revision === this.#sentRevision) return state !== undefined;
    return this.#sent(state.revision, { type: "wanted", state });
  }

  #sent(revision: number, message: ServerMessage): boolean {
    if (!this.#send(message)) return false;
    this.#sentRevision = revision;
    return true;
  }

  sendOpenStream(message: Extract<ServerMessage, { type: "open-stream" }>): void {
    this.#send(message);
  }

  /** How long it is or was open, ms. */
  get ageMs(): number {
    return this.#deps.clock.monotonicMs() - this.#sinceMs;
  }

  /** @param reason at most 123 bytes */
  close(code: number, reason: string): void {
    this.#webSocket.close(code, reason);
    // The close handshake of one that does not answer must not keep the socket; the library gives it 30 s.
    this.#end({ endedBy: "server", closeCode: code, reason });
  }

  /** Hangs up without a goodbye, on an agent that would not hear one. */
  #cut(reason: string): void {
    this.#webSocket.terminate();
    this.#end({ endedBy: "server", closeCode: 1006, reason });
  }

  #seen(closeCode: number, reason: string): LinkEnd {
    // The library answers what breaks the protocol by itself, with a code of its own.
    if (this.#fault !== undefined) return { endedBy: "server", closeCode, reason: `protocol error: ${this.#fault}` };
    if (closeCode === 1006) return { endedBy: "network", closeCode, reason: "the connection was lost" };
    return { endedBy: "agent", closeCode, reason: reason.slice(0, 123) };
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (this.#ended) return;
    this.#heardMs = this.#deps.clock.monotonicMs();
    let message: AgentMessage;
    try {
      if (isBinary) throw new SkerryError("invalid-request", "Messages are text.");
      message = decodeAgentMessage(data.toString("utf8"));
    } catch (error) {
      this.#deps.log.warn(
        { nodeId: this.#nodeId, detail: error instanceof Error ? error.message : "" },
        "an agent sent what is not a message",
      );
      this.close(1008, "not a message");
      return;
    }
    const nodeId = this.#nodeId;
    if (nodeId === undefined) {
      if (message.type === "hello") this.#greet(message);
      else this.close(1008, "hello first");
      return;
    }
    switch (message.type) {
      case "hello":
        this.close(1008, "one hello is enough");
        return;
      case "observed":
        this.#newestReport = message.state;
        if (!this.#recording) void this.#record(nodeId);
        return;
      case "stream-failed":
        this.#deps.streamFailed(nodeId, message.streamId, message.detail);
        return;
      case "pong":
        return;
      case "beat":
        this.#answerBeat(nodeId, message.beat);
        return;
    }
  }

  /**
   * The newest wanted state goes first: an answer that speaks of one that the agent does not have is worth nothing to it. What it can't be
   * told of gets no lease here either, so that both sides count the same.
   */
  #answerBeat(nodeId: string, beat: number): void {
    if (!this.sendWanted()) return;
    const wantedRevision = this.#deps.delegate.grant(nodeId);
    if (wantedRevision !== undefined) this.#send({ type: "granted", beat, wantedRevision });
  }

  #greet(hello: Hello): void {
    const { delegate, heartbeatMs } = this.#deps;
    if (hello.protocolVersion !== protocolVersion && hello.protocolVersion !== protocolVersion - 1) {
      this.#refuse(
        "protocol-mismatch",
        `The agent speaks version ${hello.protocolVersion}, this server ${protocolVersion} and the one before.`,
      );
      return;
    }
    const publicKey = delegate.publicKeyOf(hello.nodeId);
    if (publicKey === undefined || !isSignedBy(publicKey, helloPayload(this.#nonce, hello.nodeId), hello.signature)) {
      // One answer for both, so that nobody learns which nodes there are.
      this.#refuse("unauthenticated", "There is no such node, or the signature is not by its key.");
      return;
    }
    this.#nodeId = hello.nodeId;
    this.#takesChanges = hello.protocolVersion >= changeVersion;
    this.#deps.proved(this, hello.nodeId);
    this.#send({ type: "welcome", sessionToken: this.session.secret, heartbeatMs });
    this.sendWanted();
    this.#cancelTimer();
    this.#beat();
  }

  #refuse(code: string, detail: string): void {
    this.#send({ type: "refused", code, detail });
    this.close(1008, code);
  }

  #beat(): void {
    const { clock, heartbeatMs } = this.#deps;
    this.#cancelTimer = clock.setTimer(heartbeatMs, () => {
      if (clock.monotonicMs() - this.#heardMs > silentHeartbeats * heartbeatMs) {
        this.#cut(`silent for more than ${(silentHeartbeats * heartbeatMs) / 1000} s`);
        return;
      }
      this.#send({ type: "ping" });
      this.#beat();
    });
  }

  async #record(nodeId: string): Promise<void> {
    this.#recording = true;
    try {
      for (let state = this.#newestReport; state !== undefined && !this.#ended; state = this.#newestReport) {
        this.#newestReport = undefined;
        await this.#deps.delegate.observed(nodeId, state);
      }
    } catch (error) {
      // The agent reports whole states, so that coming back repairs what was not recorded.
      this.#deps.log.error({ error, nodeId }, "a node's report could not be recorded");
      this.close(1013, "try again later");
    } finally {
      this.#recording = false;
    }
  }

  /** Whether it is on its way. */
  #send(message: ServerMessage): boolean {
    if (this.#ended) return false;
    const text = encodeMessage(message);
    if (Buffer.byteLength(text) > maxMessageBytes) {
      this.#deps.log.error({ nodeId: this.#nodeId, type: message.type }, "a message is larger than agents take");
      return false;
    }
    if (this.#webSocket.bufferedAmount > maxUnsentBytes) {
      this.#cut("the agent takes nothing any more");
      return false;
    }
    this.#webSocket.send(text);
    return true;
  }

  #end(end: LinkEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelTimer();
    this.#deps.ended(this, end);
  }
}
