import type { OperationResource, OperationStep } from "@skerry/model";
import type { Store } from "@skerry/store";
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import { withStep } from "./transitions.ts";

export interface ProgressUpdate {
  readonly message?: string;
  readonly done?: number;
  readonly total?: number;
  readonly unit?: "bytes" | "items";
}

/** Whether all of an update has been said before. */
export function addsNothing(said: ProgressUpdate, { message, done, total, unit }: ProgressUpdate): boolean {
  return (
    (message === undefined || message === said.message) &&
    (done === undefined || done === said.done) &&
    (total === undefined || total === said.total) &&
    (unit === undefined || unit === said.unit)
  );
}

interface Pending {
  readonly step: number;
  readonly update: ProgressUpdate;
}

const flushIntervalMs = 250;
/** After a failure, such as of a full disk. */
const retryMs = 5000;

/** Collects what running steps say of themselves and writes it for all operations in one small transaction, at most four times a second. */
export class ProgressBook {
  readonly #deps: { readonly store: Store; readonly clock: Clock; readonly log: Log };
  readonly #pending = new Map<string, Pending>();
  #cancelTimer: (() => void) | undefined;
  #closed = false;

  constructor(deps: { readonly store: Store; readonly clock: Clock; readonly log: Log }) {
    this.#deps = deps;
  }

  set(operationId: string, step: number, update: ProgressUpdate): void {
    const before = this.#pending.get(operationId);
    const merged = before?.step === step ? { ...before.update, ...update } : update;
    this.#pending.set(operationId, { step, update: merged });
    this.#flushIn(flushIntervalMs);
  }

  /** What is waiting for one operation, put into its status: for a transaction that writes it anyway. */
  take(operation: OperationResource): OperationResource["status"] {
    const pending = this.#pending.get(operation.metadata.id);
    if (pending === undefined) return operation.status;
    this.#pending.delete(operation.metadata.id);
    return apply(operation.status, pending);
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer?.();
    this.#pending.clear();
  }

  #flushIn(delayMs: number): void {
    if (this.#closed) return;
    this.#cancelTimer ??= this.#deps.clock.setTimer(delayMs, () => {
      this.#cancelTimer = undefined;
      void this.#flush();
    });
  }

  async #flush(): Promise<void> {
    const batch = new Map(this.#pending);
    this.#pending.clear();
    try {
      await this.#deps.store.transact((tx) => {
        for (const [id, pending] of batch) {
          const operation = tx.getById("Operation", id);
          if (operation === undefined || operation.status.steps[pending.step]?.state !== "running") continue;
          const status = apply(operation.status, pending);
          if (!sameStep(operation.status.steps[pending.step], status.steps[pending.step]))
            tx.put({ ...operation, status });
        }
      });
    } catch (error) {
      this.#deps.log.warn({ error }, "progress of operations was not written");
      // Nobody says it again: it is tried with the next, unless that says more.
      for (const [id, { step, update }] of batch) {
        const newer = this.#pending.get(id);
        if (newer === undefined || newer.step === step)
          this.#pending.set(id, { step, update: { ...update, ...newer?.update } });
      }
      this.#flushIn(retryMs);
    }
  }
}

function sameStep(one: OperationStep | undefined, other: OperationStep | undefined): boolean {
  return (
    one?.message === other?.message &&
    one?.done === other?.done &&
    one?.total === other?.total &&
    one?.unit === other?.unit
  );
}

function apply(status: OperationResource["status"], pending: Pending): OperationResource["status"] {
  const { message, ...rest } = pending.update;
  return withStep(status, pending.step, {
    ...rest,
    ...(message === undefined ? {} : { message: message.slice(0, 1024) }),
  });
}
