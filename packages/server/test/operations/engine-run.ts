import type { OperationResource } from "@skerry/model";
import type { Store } from "@skerry/store";
import { makeOperationEngine, type OperationEngineDeps } from "../../src/operations/engine.ts";
import type { OperationEngine, OperationKind, OperationRequest } from "../../src/operations/operation-kind.ts";
import { isOver } from "../../src/operations/transitions.ts";
import type { ManualClock } from "../fakes/manual-clock.ts";
import { passTime } from "../fakes/passing-time.ts";
import { evenRandom, quietLog } from "../fakes/quiet.ts";
import { MortalStore, type Death } from "../fakes/mortal-store.ts";

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

export async function submit(
  run: { readonly engine: OperationEngine; readonly store: Store },
  request: Partial<OperationRequest> & { readonly type: string },
): Promise<OperationResource> {
  const { result } = await run.store.transact((tx) =>
    run.engine.submit(tx, { targets: [{ kind: "Site", name: "here" }], actor: "test", cause: "test", ...request }),
  );
  return result;
}

export function isDone(store: Store, operation: OperationResource): boolean {
  const current = store.getById("Operation", operation.metadata.id);
  return current !== undefined && isOver(current.status.state);
}

export async function untilDone(
  run: EngineRun,
  clock: ManualClock,
  operation: OperationResource,
): Promise<OperationResource> {
  await passTime(
    clock,
    () => [run.store],
    () => run.store.dead || isDone(run.store, operation),
  );
  const current = run.store.getById("Operation", operation.metadata.id);
  if (current === undefined) throw new Error("the operation is gone");
  return current;
}
