import type { WebSocket } from "ws";
import { SkerryError } from "@skerry/model";
import { hashSecret } from "../authorisation/secret.ts";
import type { ServerMetrics } from "../metrics/server-metrics.ts";
import type { Clock } from "../operations/clock.ts";
import type { Log } from "../operations/log.ts";
import { AgentLink, type LinkEnd } from "./agent-link.ts";
import type { GatewayDelegate } from "./gateway.ts";

const defaultMaxUnproven = 256;
/** Changes within this time reach an agent as one wanted state. */
const coalesceMs = 20;
/** States are made and sent for at most so long at a time; then others have their turn, nine times as long. */
const flushMs = 5;
const restFactor = 9;

export interface AgentLinksDeps {
  readonly delegate: GatewayDelegate;
  readonly clock: Clock;
  readonly log: Log;
  /** Told of links that came and went. */
  readonly metrics: Pick<ServerMetrics, "linked" | "unlinked">;
  readonly heartbeatMs: number;
  /** How many links may be open whose agents have not proved who they are. */
  readonly maxUnproven?: number;
  readonly streamFailed: (nodeId: string, streamId: string, detail: string) => void;
  /** Called when a node's link is gone and no newer one has replaced it. */
  readonly unlinked: (nodeId: string) => void;
}

/** All agents' links: one for each node, the newest. */
export class AgentLinks {
  readonly #deps: AgentLinksDeps;
  readonly #byNode = new Map<string, AgentLink>();
  /** By the hash of the session's token, so that looking one up takes no time that tells of others. */
  readonly #bySession = new Map<string, AgentLink>();
  readonly #unproven = new Set<AgentLink>();
  readonly #dirty = new Set<string>();
  #cancelFlush: (() => void) | undefined;
  #restUntilMs = 0;

  constructor(deps: AgentLinksDeps) {
    this.#deps = deps;
  }

  /** @throws SkerryError too-many-requests, before a connection is accepted that there is no room for */
  checkRoom(): void {
    if (this.#unproven.size < (this.#deps.maxUnproven ?? defaultMaxUnproven)) return;
    throw new SkerryError("too-many-requests", "Too many agents are just connecting.", {
      remedy: "Try again in a while.",
    });
  }

  accept(webSocket: WebSocket): void {
    const { delegate, clock, log, heartbeatMs, streamFailed } = this.#deps;
    const link = new AgentLink(webSocket, {
      delegate,
      clock,
      log,
      heartbeatMs,
      streamFailed,
      proved: (proven, nodeId) => this.#proved(proven, nodeId),
      ended: (ended, end) => this.#ended(ended, end),
    });
    this.#unproven.add(link);
  }

  get(nodeId: string): AgentLink | undefined {
    return this.#byNode.get(nodeId);
  }

  /** The node whose session a token is; undefined for none that lives. */
  nodeOfSession(token: string | undefined): string | undefined {
    return token === undefined ? undefined : this.#bySession.get(hashSecret(token))?.nodeId;
  }

  push(nodeId: string): void {
    if (!this.#byNode.has(nodeId)) return;
    this.#dirty.add(nodeId);
    this.#flushLater();
  }

  disconnect(nodeId: string, reason: string): void {
    this.#byNode.get(nodeId)?.close(1000, reason.slice(0, 100));
  }

  closeAll(): void {
    this.#cancelFlush?.();
    for (const link of [...this.#unproven, ...this.#byNode.values()]) link.close(1001, "the server stops");
  }

  #flushLater(): void {
    const delayMs = Math.max(coalesceMs, this.#restUntilMs - performance.now());
    this.#cancelFlush ??= this.#deps.clock.setTimer(delayMs, () => {
      this.#cancelFlush = undefined;
      const startMs = performance.now();
      let tookMs = 0;
      // In the order in which they became due, so that each has its turn.
      for (const id of this.#dirty) {
        this.#dirty.delete(id);
        this.#byNode.get(id)?.sendWanted();
        tookMs = performance.now() - startMs;
        if (tookMs > flushMs) break;
      }
      this.#restUntilMs = startMs + (1 + restFactor) * tookMs;
      if (this.#dirty.size > 0) this.#flushLater();
    });
  }

  #proved(link: AgentLink, nodeId: string): void {
    this.#unproven.delete(link);
    const older = this.#byNode.get(nodeId);
    this.#byNode.set(nodeId, link);
    this.#bySession.set(link.session.hash, link);
    this.#deps.metrics.linked();
    older?.close(1000, "a newer link has replaced this one");
    this.#deps.log.info({ nodeId, replaced: older !== undefined }, "an agent is linked");
    this.#tell(nodeId, this.#deps.delegate.connected(nodeId));
  }

  #ended(link: AgentLink, end: LinkEnd): void {
    this.#unproven.delete(link);
    this.#bySession.delete(link.session.hash);
    const { nodeId } = link;
    // One that never proved who it is has no node to name, and whoever scans ports must not fill the log.
    if (nodeId === undefined) return;
    this.#deps.metrics.unlinked();
    this.#deps.log.info({ nodeId, ...end, upMs: link.ageMs }, "an agent's link has ended");
    if (this.#byNode.get(nodeId) !== link) return;
    this.#byNode.delete(nodeId);
    this.#deps.unlinked(nodeId);
    this.#tell(nodeId, this.#deps.delegate.disconnected(nodeId));
  }

  #tell(nodeId: string, done: Promise<void>): void {
    done.catch((error: unknown) =>
      this.#deps.log.error({ error, nodeId }, "a link's coming or going could not be recorded"),
    );
  }
}
