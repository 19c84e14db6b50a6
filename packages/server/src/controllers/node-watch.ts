import type { KindName, NodeResource, ResourceOf } from "@skerry/model";
import type { ObservedState } from "@skerry/protocol";
import type { Store, Transaction } from "@skerry/store";
import type { Clock } from "../operations/clock.ts";
import { timestamp } from "../operations/clock.ts";
import type { Log } from "../operations/log.ts";
import { withCondition } from "./condition.ts";
import type { FleetView } from "./fleet-view.ts";
import type { NodeReport, NodeReports } from "./node-reports.ts";
import { applyObserved } from "./node-status.ts";

export interface NodeWatchDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly reports: NodeReports;
  readonly fleet: Pick<FleetView, "instanceIdsOn" | "volumeIdsOn">;
  /** Whether the node's link is up now; asked when a loss is about to be written. */
  readonly isLinked: (nodeId: string) => boolean;
  readonly heartbeatMs: number;
}

/** What is known of one node and not yet written. */
interface Pending {
  report?: NodeReport;
  link?: "up" | "down" | "silent";
  readonly waiters: { resolve(): void; reject(error: unknown): void }[];
}

/** Nodes that are written at once: some milliseconds, so that others have their turn between. */
const maxPerWrite = 32;
/** Silence of this many heartbeats counts as being away. */
const silentHeartbeats = 3;

/**
 * Writes what nodes report and whether they are there. One transaction at a time for all nodes that had something to say
 * meanwhile, so that a fleet that comes back at once costs few commits.
 */
export class NodeWatch {
  readonly #deps: NodeWatchDeps;
  readonly #heardMs = new Map<string, number>();
  readonly #pending = new Map<string, Pending>();
  #flushing: Promise<void> | undefined;
  #cancelSweep: (() => void) | undefined;

  constructor(deps: NodeWatchDeps) {
    this.#deps = deps;
  }

  /** Nobody is linked yet, whatever the last run of the server has left in the store. */
  async start(): Promise<void> {
    await this.#deps.store.transact((tx) => {
      for (const node of tx.list("Node"))
        if (node.status.connected && !this.#deps.isLinked(node.metadata.id))
          markAway(tx, node, "Disconnected", this.#deps.clock.nowMs());
    });
    this.#sweepLater();
  }

  async stop(): Promise<void> {
    this.#cancelSweep?.();
    await this.#flushing;
  }

  /** Resolves when it is durable, and what follows from it too. */
  observed(nodeId: string, state: ObservedState): Promise<void> {
    const receivedAtMs = this.#deps.clock.nowMs();
    const receivedMonotonicMs = this.#deps.clock.monotonicMs();
    this.#heardMs.set(nodeId, receivedMonotonicMs);
    return this.#queue(nodeId, { report: { state, receivedAtMs, receivedMonotonicMs } });
  }

  linked(nodeId: string): Promise<void> {
    this.#heardMs.set(nodeId, this.#deps.clock.monotonicMs());
    return this.#queue(nodeId, { link: "up" });
  }

  unlinked(nodeId: string): Promise<void> {
    this.#heardMs.delete(nodeId);
    return this.#queue(nodeId, { link: "down" });
  }

  forget(nodeId: string): void {
    this.#heardMs.delete(nodeId);
    this.#deps.reports.forget(nodeId);
  }

  #queue(nodeId: string, news: Pick<Pending, "report" | "link">): Promise<void> {
    return new Promise((resolve, reject) => {
      const pending = this.#pending.get(nodeId) ?? { waiters: [] };
      pending.waiters.push({ resolve, reject });
      this.#pending.set(nodeId, Object.assign(pending, news));
      this.#flushing ??= this.#flush();
    });
  }

  async #flush(): Promise<void> {
    while (this.#pending.size > 0) {
      const batch = this.#nextBatch();
      try {
        await this.#write(batch);
      } catch (error) {
        if (batch.size === 1)
          for (const pending of batch.values()) for (const waiter of pending.waiters) waiter.reject(error);
        else await this.#writeOneByOne(batch);
      }
    }
    this.#flushing = undefined;
  }

  #nextBatch(): ReadonlyMap<string, Pending> {
    const batch = new Map<string, Pending>();
    for (const [nodeId, pending] of this.#pending) {
      if (batch.size === maxPerWrite) break;
      batch.set(nodeId, pending);
      this.#pending.delete(nodeId);
    }
    return batch;
  }

  /** One node's bad report must not keep the others' from being written. */
  async #writeOneByOne(batch: ReadonlyMap<string, Pending>): Promise<void> {
    for (const [nodeId, pending] of batch) {
      try {
        await this.#write(new Map([[nodeId, pending]]));
      } catch (error) {
        for (const waiter of pending.waiters) waiter.reject(error);
      }
    }
  }

  async #write(batch: ReadonlyMap<string, Pending>): Promise<void> {
    const { store, clock, reports } = this.#deps;
    await store.transact((tx) => {
      for (const [nodeId, pending] of batch) this.#writeNode(tx, nodeId, pending, clock.nowMs());
    });
    const fresh = new Map<string, NodeReport>();
    for (const [nodeId, { report }] of batch) if (report !== undefined) fresh.set(nodeId, report);
    if (fresh.size > 0) reports.record(fresh);
    for (const pending of batch.values()) for (const waiter of pending.waiters) waiter.resolve();
  }

  #writeNode(tx: Transaction, nodeId: string, { report, link }: Pending, nowMs: number): void {
    if (report !== undefined) {
      const concerned = {
        instances: this.#deps.fleet.instanceIdsOn(nodeId),
        volumes: this.#deps.fleet.volumeIdsOn(nodeId),
      };
      applyObserved(tx, nodeId, report.state, concerned, nowMs);
    }
    const node = link === undefined ? undefined : tx.getById("Node", nodeId);
    if (node === undefined) return;
    if (link === "up" && report === undefined) markLinked(tx, node, nowMs);
    // An older link's end says nothing while a newer one is up.
    if (link === "down" && !this.#deps.isLinked(nodeId)) markAway(tx, node, "Disconnected", nowMs);
    if (link === "silent" && report === undefined) markAway(tx, node, "Silent", nowMs);
  }

  #sweepLater(): void {
    this.#cancelSweep = this.#deps.clock.setTimer(this.#deps.heartbeatMs, () => {
      const nowMs = this.#deps.clock.monotonicMs();
      for (const [nodeId, heardMs] of this.#heardMs) {
        if (nowMs - heardMs <= silentHeartbeats * this.#deps.heartbeatMs) continue;
        this.#heardMs.delete(nodeId);
        this.#queue(nodeId, { link: "silent" }).catch((error: unknown) =>
          this.#deps.log.warn({ error, nodeId }, "a node's silence was not recorded"),
        );
      }
      this.#sweepLater();
    });
  }
}

/**
 * A resource with the age of what was seen as it is this moment: reports that change nothing are written rarely, so the stored
 * time may lag behind. For replies; never put it into the store.
 */
export function withFreshSeenAt<R extends ResourceOf<KindName>>(reports: NodeReports, resource: R): R {
  switch (resource.kind) {
    case "Node": {
      const report = reports.get(resource.metadata.id);
      return report === undefined
        ? resource
        : { ...resource, status: { ...resource.status, seenAt: timestamp(report.receivedAtMs) } };
    }
    case "Instance":
    case "Volume": {
      const { assignment, metadata, status } = resource;
      const seenAtMs = assignment === undefined ? undefined : reports.seenAtMs(assignment.nodeId, metadata.id);
      if (seenAtMs === undefined || status.seenAt === undefined) return resource;
      return { ...resource, status: { ...status, seenAt: timestamp(seenAtMs) } };
    }
    case "Organisation":
    case "Project":
    case "Provider":
    case "Site":
    case "Image":
    case "Network":
    case "Operation":
    case "JoinToken":
    case "ApiToken":
    case "User":
    case "Group":
    case "ServiceAccount":
    case "Role":
    case "RoleBinding":
    case "IdentityProvider":
    case "Meter":
    case "DisruptionBudget":
      return resource;
  }
}

function markLinked(tx: Transaction, node: NodeResource, nowMs: number): void {
  if (node.status.connected) return;
  const conditions = withCondition(node.status.conditions, "Ready", { state: "true", reason: "Connected" }, nowMs);
  tx.put({ ...node, status: { ...node.status, connected: true, conditions } });
}

function markAway(tx: Transaction, node: NodeResource, reason: "Disconnected" | "Silent", nowMs: number): void {
  if (!node.status.connected) return;
  const message =
    reason === "Silent" ? "Its agent has not reported for three heartbeats." : "Its agent's link is down.";
  const conditions = withCondition(node.status.conditions, "Ready", { state: "false", reason, message }, nowMs);
  tx.put({ ...node, status: { ...node.status, connected: false, conditions } });
}
