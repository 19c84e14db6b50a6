import { sign } from "node:crypto";
import { WebSocket } from "ws";
import type { NodeFacts } from "@skerry/model";
import {
  decodeServerMessage,
  encodeMessage,
  helloPayload,
  linkPath,
  maxMessageBytes,
  protocolVersion,
  type AgentMessage,
  type ServerMessage,
} from "@skerry/protocol";
import type { NodeIdentity } from "./enrol.ts";
import type { NodePlan } from "./plan.ts";
import { seededRandom } from "./random.ts";
import { SimulatedNode } from "./simulated-node.ts";

/** As an agent does: changes within the first go in one message, and messages are so far apart. */
const gatherMs = 20;
const spacingMs = 200;
const [leastRetryMs, mostRetryMs] = [500, 30_000];
/** How long a flapping node keeps its link, and does without. */
const upMs = [20_000, 60_000] as const;
const handshakeMs = 60_000;

export interface LinkCounters {
  linked: number;
  /** Links that were made, and that ended. */
  links: number;
  ends: number;
  running: number;
  /** Nodes that the server does not take. */
  refused: number;
}

/** One simulated node and its link, which is kept up until it is closed. */
export class NodeLink {
  readonly #node: SimulatedNode;
  readonly #identity: NodeIdentity;
  readonly #server: { readonly url: string; readonly authority: string };
  readonly #counters: LinkCounters;
  readonly #random: () => number;
  readonly #facts: NodeFacts;
  #socket: WebSocket | undefined;
  #welcomed = false;
  #closed = false;
  #isRefused = false;
  #failures = 0;
  #running = 0;
  #lastMs = 0;
  #sent = "";
  #pushTimer: NodeJS.Timeout | undefined;
  #stepTimer: NodeJS.Timeout | undefined;
  #beatTimer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;

  constructor(
    plan: NodePlan,
    identity: NodeIdentity,
    server: { readonly url: string; readonly authority: string },
    counters: LinkCounters,
  ) {
    this.#node = new SimulatedNode(plan);
    this.#identity = identity;
    this.#server = server;
    this.#counters = counters;
    this.#random = seededRandom(plan.seed ^ 0x5bd1e995);
    this.#facts = factsOf(plan);
  }

  open(): void {
    const socket = new WebSocket(new URL(linkPath, this.#server.url.replace(/^http/, "ws")), {
      ca: this.#server.authority,
      handshakeTimeout: handshakeMs,
      maxPayload: maxMessageBytes,
      perMessageDeflate: false,
    });
    this.#socket = socket;
    socket.on("message", (data) => {
      try {
        this.#receive(decodeServerMessage((data as Buffer).toString("utf8")));
      } catch {
        // Only this node's link is of no use.
        socket.close(1008);
      }
    });
    // What went wrong is told by the close that follows.
    socket.on("error", () => undefined);
    socket.on("close", () => this.#ended());
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retryTimer);
    this.#socket?.close(1000);
  }

  #send(message: AgentMessage): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(encodeMessage(message));
  }

  #receive(message: ServerMessage): void {
    switch (message.type) {
      case "challenge": {
        const { nodeId, privateKey } = this.#identity;
        const signature = sign(null, helloPayload(message.nonce, nodeId), privateKey).toString("base64");
        const { wantedRevision } = this.#node;
        this.#send({ type: "hello", nodeId, protocolVersion, agentVersion: "simulated", signature, wantedRevision });
        return;
      }
      case "welcome":
        this.#begin(message.heartbeatMs);
        return;
      case "refused":
        if (!this.#isRefused) this.#counters.refused += 1;
        this.#isRefused = true;
        this.#socket?.close(1000);
        return;
      case "wanted":
        this.#node.take(message.state);
        this.#step();
        return;
      case "wanted-change":
        if (this.#node.change(message.change)) this.#step();
        else this.#socket?.close(1000);
        return;
      case "granted":
        this.#node.granted(message.beat, message.wantedRevision);
        this.#step();
        return;
      case "ping":
        this.#send({ type: "pong" });
        return;
      case "open-stream":
        this.#send({ type: "stream-failed", streamId: message.streamId, detail: "The host is simulated." });
        return;
    }
  }

  #begin(heartbeatMs: number): void {
    this.#welcomed = true;
    if (this.#isRefused) this.#counters.refused -= 1;
    this.#isRefused = false;
    this.#failures = 0;
    this.#counters.linked += 1;
    this.#counters.links += 1;
    this.#sent = "";
    const beat = (): void => {
      this.#send({ type: "beat", beat: this.#node.beat(nowMs()) });
      this.#report(true);
    };
    beat();
    // Not all at the same moment, however many were linked at once.
    this.#beatTimer = setTimeout(() => {
      beat();
      this.#beatTimer = setInterval(beat, heartbeatMs);
    }, this.#random() * heartbeatMs);
    if (this.#node.plan.character === "flapping") this.#breakAfter(upMs[0] + this.#random() * (upMs[1] - upMs[0]));
  }

  #breakAfter(ms: number): void {
    const socket = this.#socket;
    setTimeout(() => socket?.terminate(), ms).unref();
  }

  #ended(): void {
    clearTimeout(this.#beatTimer);
    clearTimeout(this.#pushTimer);
    this.#pushTimer = undefined;
    if (this.#welcomed) {
      this.#counters.linked -= 1;
      this.#counters.ends += 1;
    }
    this.#welcomed = false;
    this.#socket = undefined;
    if (this.#closed) {
      clearTimeout(this.#stepTimer);
      return;
    }
    this.#failures += 1;
    const mostMs = Math.min(mostRetryMs, leastRetryMs * 2 ** this.#failures);
    this.#retryTimer = setTimeout(() => this.open(), leastRetryMs + this.#random() * (mostMs - leastRetryMs));
  }

  #step(): void {
    clearTimeout(this.#stepTimer);
    const stepMs = nowMs();
    const nextMs = this.#node.advance(stepMs);
    this.#counters.running += this.#node.running - this.#running;
    this.#running = this.#node.running;
    if (nextMs !== undefined) this.#stepTimer = setTimeout(() => this.#step(), Math.max(1, nextMs - stepMs));
    this.#pushTimer ??= setTimeout(
      () => {
        this.#pushTimer = undefined;
        this.#report(false);
      },
      Math.max(gatherMs, this.#lastMs + spacingMs - performance.now()),
    );
  }

  /** @param always also where nothing changed */
  #report(always: boolean): void {
    if (!this.#welcomed) return;
    const text = encodeMessage({ type: "observed", state: this.#node.report(this.#facts) });
    if (!always && text === this.#sent) return;
    this.#sent = text;
    this.#lastMs = performance.now();
    this.#socket?.send(text);
  }
}

/** Of the day, and never going back. */
function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

function factsOf({ name, capacity }: NodePlan): NodeFacts {
  return {
    hostname: name,
    operatingSystem: "simulated",
    kernel: "simulated",
    architecture: "x86_64",
    driver: "simulated",
    accelerator: "simulated",
    agentVersion: "simulated",
    capacity,
    versions: {},
  };
}
