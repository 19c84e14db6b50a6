import { SkerryError, type InstanceResource } from "@skerry/model";
import type { ChangeEvent, Store, Transaction, View } from "@skerry/store";
import type { Clock } from "../operations/clock.ts";
import type { OperationEngine } from "../operations/operation-kind.ts";
import {
  isLeaseOver,
  reasonToLeave,
  replacementOf,
  replacingCondition,
  withoutReplacing,
  type Leases,
} from "../operations/kinds/replacement.ts";
import type { Log } from "../operations/log.ts";
import { isOver } from "../operations/transitions.ts";
import { targetsOf } from "./intents/instance-change.ts";
import { rootVolumeOf } from "./reap.ts";

export interface ReplacingDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly leases: Pick<Leases, "isOver">;
  readonly engine: Pick<OperationEngine, "submit">;
  readonly sweepMs: number;
}

/** In one transaction. */
const maxPerSweep = 200;

/** Has instances replaced whose nodes are away for longer than these may be. Costs what may be replaced at all, never the whole fleet. */
export class Replacing {
  readonly #deps: ReplacingDeps;
  /** Instances that hold a lease. */
  readonly #leased = new Set<string>();
  /** Instances that say what their replacement waits for. */
  readonly #waiting = new Set<string>();
  /** The operation that was last asked for, by instance. */
  readonly #asked = new Map<string, { readonly operationId: string; readonly epoch: number }>();
  #cancelTimer: () => void = () => undefined;
  #unsubscribe: () => void = () => undefined;
  #sweeping: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(deps: ReplacingDeps) {
    this.#deps = deps;
  }

  start(): void {
    const { store } = this.#deps;
    this.#unsubscribe = store.subscribe((events) => this.#follow(events));
    for (const instance of store.notables("Instance")) this.#note(instance);
    // Of the last run of the server.
    for (const operation of store.list("Operation")) {
      if (operation.spec.type !== "instance.replace" || isOver(operation.status.state)) continue;
      const { instanceId, epoch, operationId } = replacementOf(operation);
      this.#asked.set(instanceId, { operationId, epoch });
    }
    this.#sweepLater();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unsubscribe();
    this.#cancelTimer();
    await this.#sweeping;
  }

  #follow(events: readonly ChangeEvent[]): void {
    for (const event of events) {
      if (event.kind !== "Instance") continue;
      if (event.type !== "deleted") this.#note(event.object as InstanceResource);
      else {
        this.#leased.delete(event.id);
        this.#waiting.delete(event.id);
        this.#asked.delete(event.id);
      }
    }
  }

  #note({ metadata, assignment, status }: InstanceResource): void {
    if (assignment?.lease === undefined) this.#leased.delete(metadata.id);
    else this.#leased.add(metadata.id);
    if (status.conditions.some(({ type }) => type === replacingCondition)) this.#waiting.add(metadata.id);
    else this.#waiting.delete(metadata.id);
  }

  #sweepLater(): void {
    if (this.#stopped) return;
    const { clock, log, sweepMs } = this.#deps;
    this.#cancelTimer = clock.setTimer(sweepMs, () => {
      this.#sweeping = this.#sweep()
        .catch((error: unknown) => log.error({ error }, "instances of nodes that are away could not be looked at"))
        .finally(() => this.#sweepLater());
    });
  }

  async #sweep(): Promise<void> {
    const { store, leases, clock } = this.#deps;
    const due = [...this.#leased].filter((id) => {
      const instance = store.getById("Instance", id);
      return instance !== undefined && isDue(store, instance, leases) && !this.#isAsked(instance);
    });
    // Whatever ended the wait: its node is back, it was stopped, or is to be kept now.
    const settled = [...this.#waiting].filter((id) => isSettled(store, store.getById("Instance", id)));
    if (due.length === 0 && settled.length === 0) return;
    await store.transact((tx) => {
      for (const id of due.slice(0, maxPerSweep)) this.#ask(tx, id);
      for (const id of settled.slice(0, maxPerSweep)) {
        const instance = tx.getById("Instance", id);
        if (instance !== undefined && isSettled(tx, instance)) tx.put(withoutReplacing(instance, clock.nowMs()));
      }
    });
  }

  #isAsked({ metadata, assignment }: InstanceResource): boolean {
    const asked = this.#asked.get(metadata.id);
    if (asked?.epoch !== assignment?.epoch) return false;
    const operation = asked === undefined ? undefined : this.#deps.store.getById("Operation", asked.operationId);
    return operation !== undefined && !isOver(operation.status.state);
  }

  #ask(tx: Transaction, id: string): void {
    const { engine, leases, log } = this.#deps;
    const instance = tx.getById("Instance", id);
    if (instance?.assignment === undefined || !isDue(tx, instance, leases)) return;
    const { node, nodeId, epoch, lease } = instance.assignment;
    const volumeId = rootVolumeOf(tx, instance)?.metadata.id;
    try {
      const operation = engine.submit(tx, {
        type: "instance.replace",
        targets: targetsOf(instance),
        actor: "system",
        cause: `${node} has been away for ${lease?.seconds ?? 0} s`,
        input: { instanceId: id, volumeId, from: { node, nodeId }, epoch },
        replaces: true,
      });
      this.#asked.set(id, { operationId: operation.metadata.id, epoch });
    } catch (error) {
      if (!(error instanceof SkerryError)) throw error;
      // A move is under way, which comes to its own end; then this is asked again.
      log.info({ instance: instance.metadata.name, node, reason: error.message }, "an instance is not replaced yet");
    }
  }
}

function isDue(view: View, instance: InstanceResource, leases: Pick<Leases, "isOver">): boolean {
  return reasonToLeave(view, instance) === undefined && isLeaseOver(instance, leases);
}

function isSettled(view: View, instance: InstanceResource | undefined): boolean {
  return instance !== undefined && reasonToLeave(view, instance) !== undefined;
}
