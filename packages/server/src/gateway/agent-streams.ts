import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { createWebSocketStream, type WebSocket } from "ws";
import { SkerryError } from "@skerry/model";
import type { StreamTarget } from "@skerry/protocol";
import type { Clock } from "../operations/clock.ts";
import type { AgentLink } from "./agent-link.ts";

/** An agent must have dialled back by then. */
const dialBackMs = 10_000;

interface Expected {
  readonly nodeId: string;
  readonly arrived: (stream: Duplex) => void;
  readonly failed: (error: SkerryError) => void;
}

/** Byte streams to nodes: asked for over a link, brought by the agent over a connection of its own. */
export class AgentStreams {
  readonly #clock: Clock;
  readonly #expected = new Map<string, Expected>();
  readonly #open = new Map<string, Set<Duplex>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @throws SkerryError node-disconnected, node-driver-failed, deadline-exceeded; the signal's reason */
  request(link: AgentLink, nodeId: string, target: StreamTarget, signal: AbortSignal): Promise<Duplex> {
    const streamId = randomBytes(24).toString("base64url");
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#expected.delete(streamId);
        cancelTimer();
        signal.removeEventListener("abort", abort);
      };
      const fail = (error: unknown): void => {
        settle();
        reject(error);
      };
      const abort = (): void => fail(signal.reason);
      const cancelTimer = this.#clock.setTimer(dialBackMs, () =>
        fail(
          new SkerryError(
            "deadline-exceeded",
            `The node's agent did not open the stream within ${dialBackMs / 1000} seconds.`,
          ),
        ),
      );
      this.#expected.set(streamId, {
        nodeId,
        failed: fail,
        arrived: (stream) => {
          settle();
          resolve(stream);
        },
      });
      if (signal.aborted) {
        abort();
        return;
      }
      signal.addEventListener("abort", abort, { once: true });
      link.sendOpenStream({ type: "open-stream", streamId, target });
    });
  }

  /** Whether a stream is expected of this node. */
  expects(streamId: string, nodeId: string): boolean {
    return this.#expected.get(streamId)?.nodeId === nodeId;
  }

  /** What an agent brought: a stream that is still expected is handed over, any other closed. */
  arrive(streamId: string, nodeId: string, webSocket: WebSocket): void {
    const expected = this.#expected.get(streamId);
    if (expected === undefined || expected.nodeId !== nodeId) {
      webSocket.close(1000, "nobody waits for it any more");
      return;
    }
    const stream = createWebSocketStream(webSocket);
    const open = this.#open.get(nodeId) ?? new Set();
    this.#open.set(nodeId, open.add(stream));
    stream.once("close", () => {
      open.delete(stream);
      if (open.size === 0 && this.#open.get(nodeId) === open) this.#open.delete(nodeId);
    });
    // Whoever uses the stream hears of its end; an error before that is one too.
    stream.on("error", () => undefined);
    expected.arrived(stream);
  }

  /** The node could not open it. */
  fail(nodeId: string, streamId: string, detail: string): void {
    if (!this.expects(streamId, nodeId)) return;
    this.#expected.get(streamId)?.failed(new SkerryError("node-driver-failed", detail.slice(0, 1000)));
  }

  /** Fails what a node still owes; streams that are open have connections of their own and go on. */
  abandon(nodeId: string): void {
    for (const expected of [...this.#expected.values()]) {
      if (expected.nodeId === nodeId) expected.failed(disconnected());
    }
  }

  /** Ends a node's open streams too. */
  closeNode(nodeId: string): void {
    this.abandon(nodeId);
    for (const stream of this.#open.get(nodeId) ?? []) stream.destroy();
  }

  closeAll(): void {
    for (const nodeId of [...this.#open.keys()]) this.closeNode(nodeId);
    for (const expected of [...this.#expected.values()]) expected.failed(disconnected());
  }
}

export function disconnected(): SkerryError {
  return new SkerryError("node-disconnected", "The node's agent is not connected.", {
    remedy: "See how long it has been away with `skerry node list`, and check the agent on its host.",
  });
}
