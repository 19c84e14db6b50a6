import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { SkerryError, type InstanceResource } from "@skerry/model";
import type { Store, Transaction } from "@skerry/store";
import { forecastOf } from "../../src/controllers/disruption/forecast.ts";
import { Convoy, type ConvoyDeps } from "../../src/operations/kinds/convoy/convoy.ts";
import type { OperationKind } from "../../src/operations/operation-kind.ts";
import { ManualClock } from "../fakes/manual-clock.ts";
import { useScratchStore } from "../fakes/scratch-store.ts";
import { startEngine, submit, untilDone, type EngineRun } from "./engine-run.ts";

describe("a convoy", () => {
  let store: Store;
  let run: EngineRun | undefined;
  after(() => run?.store.kill());
  useScratchStore((opened) => (store = opened));

  test("is foreseen for half a second at most, and says how many were not looked at", async () => {
    const passengers = Array.from({ length: 10 }, (_, number) => ({ instance: bare(`b-${number}`) }));
    let elapsedMs = 0;
    const tick = () => (elapsedMs += 100);
    const context = { actor: "test", cause: "test" };
    const { result } = store.rehearse((tx) =>
      forecastOf(
        refusing(() => undefined),
        tx,
        passengers,
        { ignoreBudgets: true },
        context,
        tick,
      ),
    );
    assert.deepEqual([result.blocked.length, result.notForeseen], [5, 5]);
  });

  test("looks up whom it is to move once a round, however many there are", async () => {
    const names = Array.from({ length: 100 }, (_, number) => `a-${number}`);
    await store.transact((tx) => {
      for (const name of names) tx.put(bare(name));
    });
    const tried = new Map<string, number>();
    let looks = 0;
    const inOne = new Map<Transaction, number>();
    const deps = refusing((name, tx) => {
      tried.set(name, (tried.get(name) ?? 0) + 1);
      inOne.set(tx, (inOne.get(tx) ?? 0) + 1);
    });
    let elapsedMs = 0;
    const tick = () => (elapsedMs += 10);
    const pace = { maxParallel: 2, onBlocked: "skip", ignoreBudgets: true } as const;
    const kind: OperationKind = {
      type: "test",
      deadlineMs: 60_000,
      steps: () => [
        {
          name: "move",
          run: (context) =>
            new Convoy(
              deps,
              context,
              pace,
              (view) => {
                looks++;
                return view.list("Instance").map((instance) => ({ instance }));
              },
              tick,
            ).run(),
        },
      ],
    };
    const clock = new ManualClock();
    run = startEngine(store, clock, [kind]);
    const done = await untilDone(run, clock, await submit(run, { type: "test" }));
    assert.equal(done.status.state, "succeeded");
    assert.deepEqual(new Set(tried.values()), new Set([3]), "until it is known to last");
    // At once, after 5 s, 10 s, which is too early, and 15 s; then for its report.
    assert.equal(looks, 5);
    assert.equal(Math.max(...inOne.values()), 6, "a transaction is for 50 ms at most, of which each try takes 10");
  });
});

/** Has nothing be moved. */
function refusing(asked: (name: string, tx: Transaction) => void): ConvoyDeps {
  const never = (): never => assert.fail("nothing is to be moved");
  return {
    engine: {
      requireIdle(tx, { name }) {
        asked(name, tx);
        throw new SkerryError("conflict", `${name} stays.`);
      },
      submit: never,
      cancel: never,
    },
    budgets: { in: never },
    fleet: { in: never, placerIn: never, decided: never, requestOf: never, size: 0 },
  };
}

function bare(name: string): InstanceResource {
  const at = "2026-01-01T00:00:00.000Z";
  return {
    kind: "Instance",
    metadata: {
      ...{ id: `ins_${name}`, name, project: "shop", labels: {} },
      ...{ revision: 0, generation: 1, createdAt: at, updatedAt: at },
    },
    spec: { vcpus: 1, memoryMiB: 64, image: "x" },
    status: { state: "pending", health: "unknown", addresses: [], conditions: [] },
  };
}
