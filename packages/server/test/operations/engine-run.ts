import type { OperationResource } from "@skerry/model";
import type { Store } from "@skerry/store";
import { makeOperationEngine, type OperationEngineDeps } from "../../src/operations/engine.ts";
import type { OperationEngine, OperationKind, OperationRequest } from "../../src/operations/operation-kind.ts";
import { isOver } from "../../src/operations/transitions.ts";
import type { ManualClock } from "./manual-clock.ts";
import { MortalStore, type Death } from "./mortal-store.ts";

/** Something that has to stand still before time may pass. */
export interface Busy {
  readonly inFlight: number;
}

export const quietLog = { info() {}, warn() {}, error() {} };
export const evenRandom = { bytes: (count: number) => crypto.getRandomValues(new Uint8Array(count)), fraction: () => 0.5 };

/** One run of the server's engine over a store that outlives it. */
export interface EngineRun {
  readonly engine: OperationEngine;
  readonly store: MortalStore;
}

export function startEngine(
  store: Store,
  clock: ManualClock,
  kinds: readonly OperationKind[],
  options: Partial<OperationEngineDeps> & { readonly death?: Death } = {},
): EngineRun {
  const { death, ...overrides } = options;
  const mortal = new MortalStore(store, death);
  const engine = makeOperationEngine({ store: mortal, clock, kinds, random: evenRandom, log: quietLog, ...overrides });
  engine.start();
  return { engine, store: mortal };
}

export async function submit(run: { readonly engine: OperationEngine; readonly store: Store }, request: Partial<OperationRequest> & { readonly type: string }): Promise<OperationResource> {
  const { result } = await run.store.transact((tx) =>
    run.engine.submit(tx, { targets: [{ kind: "Site", name: "here" }], actor: "test", cause: "test", ...request }),
  );
  return result;
}

const realLimitMs = 20_000;

/**
 * Lets time pass, from timer to timer and only while nothing is in flight, until `done`.
 * @throws Error after 20 real seconds, or when nothing can happen any more
 */
export async function passTime(clock: ManualClock, busy: () => readonly Busy[], done: () => boolean): Promise<void> {
  const giveUpMs = performance.now() + realLimitMs;
  while (!done()) {
    await stillness(busy);
    if (done()) return;
    const nextMs = clock.nextAtMs();
    if (nextMs === undefined) throw new Error("nothing is going to happen any more");
    if (performance.now() > giveUpMs) throw new Error("it takes too long");
    clock.moveTo(nextMs);
  }
}

/** Resolves when no transaction is in flight and nothing more follows by itself. */
export async function stillness(busy: () => readonly Busy[]): Promise<void> {
  for (let calm = 0; calm < 3; ) {
    await new Promise((resolve) => setImmediate(resolve));
    calm = busy().some(({ inFlight }) => inFlight > 0) ? 0 : calm + 1;
  }
}

export function isDone(store: Store, operation: OperationResource): boolean {
  const current = store.getById("Operation", operation.metadata.id);
  return current !== undefined && isOver(current.status.state);
}

export async function untilDone(run: EngineRun, clock: ManualClock, operation: OperationResource): Promise<OperationResource> {
  await passTime(clock, () => [run.store], () => run.store.dead || isDone(run.store, operation));
  const current = run.store.getById("Operation", operation.metadata.id);
  if (current === undefined) throw new Error("the operation is gone");
  return current;
}
