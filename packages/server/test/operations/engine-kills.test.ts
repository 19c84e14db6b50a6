import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SkerryError, type OperationResource } from "@skerry/model";
import type { Store } from "@skerry/store";
import type { OperationKind } from "../../src/operations/operation-kind.ts";
import { startEngine, submit, untilDone } from "./engine-run.ts";
import { ManualClock } from "../fakes/manual-clock.ts";
import type { Death } from "../fakes/mortal-store.ts";
import { empty, useScratchStore } from "../fakes/scratch-store.ts";
import { WorkSite, failing } from "./work-site.ts";

/** More transactions than any of these operations needs. */
const mostTransactions = 40;

describe("an engine killed at any transaction of an operation", () => {
  let store: Store;
  useScratchStore((opened) => (store = opened));

  /** Kills the first run at `death`, and the second at the same distance; a third goes to the end. */
  async function runWithDeaths(
    kind: OperationKind,
    death: Death,
  ): Promise<{ operation: OperationResource; died: boolean }> {
    await empty(store);
    const clock = new ManualClock();
    let run = startEngine(store, clock, [kind], { death });
    // The submission itself is acknowledged: what is killed comes after it.
    const submitted = await submit({ ...run, store }, { type: kind.type });
    let operation = await untilDone(run, clock, submitted);
    const died = run.store.dead;
    if (died) {
      run = startEngine(store, clock, [kind], { death });
      operation = await untilDone(run, clock, submitted);
    }
    if (run.store.dead) {
      run = startEngine(store, clock, [kind]);
      operation = await untilDone(run, clock, submitted);
    }
    run.store.kill();
    return { operation, died };
  }

  async function everyDeath(check: (death: Death) => Promise<boolean>): Promise<void> {
    for (const when of ["before", "after"] as const) {
      let deaths = 0;
      // The first death that does not happen comes after the operation's last transaction.
      while (await check({ transaction: deaths, when })) deaths++;
      assert.ok(deaths > 5 && deaths < mostTransactions, `${deaths} deaths`);
    }
  }

  test("goes on in a new run, repeats at most what was under way, and succeeds", () =>
    everyDeath(async (death) => {
      const site = new WorkSite();
      const { operation, died } = await runWithDeaths(
        site.kind(site.step("floor"), site.step("walls"), site.step("roof")),
        death,
      );
      assert.equal(operation.status.state, "succeeded");
      assert.equal(site.built.size, 6);
      const order = site.log.filter((name, index) => name !== site.log[index - 1]);
      assert.deepEqual(order, ["floor", "walls", "roof"], JSON.stringify(death));
      return died;
    }));

  test("takes everything back in a new run, and fails with the first cause", () =>
    everyDeath(async (death) => {
      const site = new WorkSite();
      const broken = site.step("roof", { run: failing(new SkerryError("conflict", "it rains")) });
      const { operation, died } = await runWithDeaths(site.kind(site.step("floor"), site.step("walls"), broken), death);
      assert.equal(operation.status.state, "failed");
      assert.equal(operation.status.problem?.detail, "it rains");
      assert.deepEqual([...site.built], [], JSON.stringify(death));
      const order = site.log.filter((name, index) => name !== site.log[index - 1]);
      assert.deepEqual(order, ["floor", "walls", "undo roof", "undo walls", "undo floor"]);
      return died;
    }));

  test("never goes back once the point of no return has begun", () =>
    everyDeath(async (death) => {
      const site = new WorkSite();
      let tries = 0;
      const shaky = site.step("roof", {
        run: () => (++tries < 4 ? Promise.reject(new SkerryError("conflict", "slipped")) : Promise.resolve()),
      });
      const { operation, died } = await runWithDeaths(
        site.kind(site.step("floor"), site.step("walls", { pointOfNoReturn: true }), shaky),
        death,
      );
      assert.equal(operation.status.state, "succeeded", JSON.stringify(death));
      assert.ok(!site.log.some((entry) => entry.startsWith("undo")));
      return died;
    }));
});
