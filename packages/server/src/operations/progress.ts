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

interface Pending {
  readonly step: number;
  readonly update: ProgressUpdate;
}

const flushIntervalMs = 250;

/** Collects what running steps say of themselves and writes it for all operations in one small transaction, at most four times a second. */
export class ProgressBook {
  readonly #deps: { readonly store: Store; readonly clock: Clock; readonly log: Log };
  readonly #pending = new Map<string, Pending>();
  #cancelTimer: (() => void) | undefined;

  constructor(deps: { readonly store: Store; readonly clock: Clock; readonly log: Log }) {
    this.#deps = deps;
  }

  set(operationId: string, step: number, update: ProgressUpdate): void {
    const before = this.#pending.get(operationId);
    const merged = before?.step === step ? { ...before.update, ...update } : update;
    this.#pending.set(operationId, { step, update: merged });
    this.#cancelTimer ??= this.#deps.clock.setTimer(flushIntervalMs, () => {
      this.#cancelTimer = undefined;
      void this.#flush();
    });
  }

  /** What is waiting for one operation, put into its status: for a transaction that writes it anyway. */
  take(operation: OperationResource): OperationResource["status"] {
    const pending = this.#pending.get(operation.metadata.id);
    if (pending === undefined) return operation.status;
    this.#pending.delete(operation.metadata.id);
    return apply(operation.status, pending);
  }

  close(): void {
    this.#cancelTimer?.();
    this.#pending.clear();
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
      // Progress may be lost: the next update says more than this one did.
      this.#deps.log.warn({ error }, "progress of operations was not written");
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
