import assert from "node:assert/strict";
import { after, beforeEach, describe, test } from "node:test";
import { SkerryError } from "@skerry/model";
import type { Store, Transaction } from "@skerry/store";
import { passTime, stillness } from "../fakes/passing-time.ts";
import { isDone, startEngine, submit, untilDone, type EngineRun } from "./engine-run.ts";
import { ManualClock } from "../fakes/manual-clock.ts";
import { empty, useScratchStore } from "../fakes/scratch-store.ts";
import { WorkSite, endless, failing } from "./work-site.ts";

const minuteMs = 60_000;

describe("the operation engine", () => {
  let store: Store;
  let clock: ManualClock;
  let site: WorkSite;
  const runs: EngineRun[] = [];

  const start = (...parameters: Parameters<typeof startEngine>) => {
    const run = startEngine(...parameters);
    runs.push(run);
    return run;
  };

  after(() => {
    for (const run of runs) run.store.kill();
  });
  useScratchStore((opened) => (store = opened));
  beforeEach(async () => {
    for (const run of runs.splice(0)) run.store.kill();
    await empty(store);
    clock = new ManualClock();
    site = new WorkSite();
  });

  test("runs steps in their order, hands notes on, and ends as succeeded with a result", async () => {
    const kind = { ...site.kind(site.step("walls"), site.step("roof")), finish: () => ({ height: 3 }) };
    const run = start(store, clock, [kind]);
    const operation = await untilDone(run, clock, await submit(run, { type: "test.build" }));
    assert.equal(operation.status.state, "succeeded");
    assert.deepEqual(site.log, ["walls", "roof"]);
    assert.deepEqual(operation.status.notes, { walls: "half", roof: "half" });
    assert.deepEqual(operation.status.result, { height: 3 });
    assert.deepEqual(
      operation.status.steps.map(({ state, attempts }) => [state, attempts]),
      [
        ["succeeded", 1],
        ["succeeded", 1],
      ],
    );
  });

  test("records that a step has begun before it does anything", async () => {
    let seen: string | undefined;
    const look = site.step("walls", {
      run: (context) => {
        seen = context.store.getById("Operation", context.operation.metadata.id)?.status.steps[0]?.state;
        return Promise.resolve();
      },
    });
    const run = start(store, clock, [site.kind(look)]);
    await untilDone(run, clock, await submit(run, { type: "test.build" }));
    assert.equal(seen, "running");
  });

  test("takes back what was done, in reverse order and the failed step included, and ends as failed with the cause", async () => {
    const broken = site.step("roof", { run: failing(new SkerryError("conflict", "it rains", { remedy: "wait" })) });
    const run = start(store, clock, [site.kind(site.step("floor"), site.step("walls"), broken, site.step("door"))]);
    const operation = await untilDone(run, clock, await submit(run, { type: "test.build" }));
    assert.equal(operation.status.state, "failed");
    assert.equal(operation.status.problem?.detail, "it rains");
    assert.equal(operation.status.problem.remedy, "wait");
    assert.deepEqual(site.log, ["floor", "walls", "undo roof", "undo walls", "undo floor"]);
    assert.deepEqual([...site.built], []);
    assert.deepEqual(
      operation.status.steps.map(({ state }) => state),
      ["compensated", "compensated", "compensated", "skipped"],
    );
  });

  test("tries again after an error that may pass, ever more rarely, and counts the attempts", async () => {
    const triedAtMs: number[] = [];
    const flaky = site.step("walls", {
      run: () => {
        triedAtMs.push(clock.nowMs());
        return triedAtMs.length < 5 ? Promise.reject(new SkerryError("unavailable", "not now")) : Promise.resolve();
      },
    });
    const run = start(store, clock, [site.kind(flaky)]);
    const operation = await untilDone(run, clock, await submit(run, { type: "test.build" }));
    assert.equal(operation.status.state, "succeeded");
    assert.equal(operation.status.steps[0]?.attempts, 5);
    const pauses = triedAtMs.slice(1).map((at, index) => at - (triedAtMs[index] ?? 0));
    assert.deepEqual(pauses, [375, 750, 1500, 3000]);
  });

  test("fails at once after an error that will not pass", async () => {
    const broken = site.step("walls", { run: failing(new SkerryError("host-key-mismatch", "another key")) });
    const run = start(store, clock, [site.kind(broken)]);
    const operation = await untilDone(run, clock, await submit(run, { type: "test.build" }));
    assert.equal(operation.status.steps[0]?.attempts, 1);
    assert.equal(operation.status.problem?.code, "host-key-mismatch");
  });

  test("ends by its deadline whatever a step waits for, and says where it was", async () => {
    const run = start(store, clock, [site.kind(site.step("floor"), site.step("walls", { run: endless }))]);
    const startMs = clock.nowMs();
    const operation = await untilDone(run, clock, await submit(run, { type: "test.build", deadlineMs: 5 * minuteMs }));
    assert.equal(operation.status.state, "failed");
    assert.equal(operation.status.problem?.code, "deadline-exceeded");
    assert.match(operation.status.problem.detail, /walls/);
    assert.equal(clock.nowMs() - startMs, 5 * minuteMs);
    assert.deepEqual([...site.built], []);
  });

  test("fails a step that takes longer than its own limit", async () => {
    const run = start(store, clock, [site.kind(site.step("walls", { run: endless, limitMs: minuteMs }))]);
    const startMs = clock.nowMs();
    const operation = await untilDone(run, clock, await submit(run, { type: "test.build" }));
    assert.equal(operation.status.state, "failed");
    assert.equal(clock.nowMs() - startMs, minuteMs);
  });

  test("leaves a step alone that does not heed its end, and lets it write nothing any more", async () => {
    let wakeUp: (() => void) | undefined;
    let late: Promise<unknown> | undefined;
    const deaf = site.step("walls", {
      run: async (context) => {
        await new Promise<void>((resolve) => (wakeUp = resolve));
        late = context.store.transact((tx) => tx.list("Node"));
        await late;
      },
    });
    const run = start(store, clock, [site.kind(deaf)]);
    const operation = await untilDone(run, clock, await submit(run, { type: "test.build", deadlineMs: minuteMs }));
    assert.equal(operation.status.state, "failed");
    wakeUp?.();
    await stillness(() => [run.store]);
    await assert.rejects(late ?? Promise.resolve(), { code: "deadline-exceeded" });
  });

  test("cancels at any step and takes everything back", async () => {
    const run = start(store, clock, [site.kind(site.step("floor"), site.step("walls", { run: endless }))]);
    const operation = await submit(run, { type: "test.build" });
    await passTime(
      clock,
      () => [run.store],
      () => store.getById("Operation", operation.metadata.id)?.status.steps[1]?.state === "running",
    );
    await run.store.transact((tx) => run.engine.cancel(tx, operation, "ana"));
    const ended = await untilDone(run, clock, operation);
    assert.equal(ended.status.state, "cancelled");
    assert.equal(ended.status.problem?.code, "operation-cancelled");
    assert.match(ended.status.problem?.detail ?? "", /was cancelled by ana/);
    assert.equal(ended.status.cancelRequestedBy, "ana");
    assert.deepEqual(site.log, ["floor", "undo walls", "undo floor"]);
  });

  test("refuses a cancel past the point of no return, and when it is over", async () => {
    const run = start(store, clock, [site.kind(site.step("floor", { pointOfNoReturn: true, run: endless }))]);
    const operation = await submit(run, { type: "test.build", deadlineMs: minuteMs });
    await passTime(
      clock,
      () => [run.store],
      () => store.getById("Operation", operation.metadata.id)?.status.steps[0]?.state === "running",
    );
    await assert.rejects(
      run.store.transact((tx) => run.engine.cancel(tx, operation, "ana")),
      { code: "conflict" },
    );
    await untilDone(run, clock, operation);
    await assert.rejects(
      run.store.transact((tx) => run.engine.cancel(tx, operation, "ana")),
      { code: "conflict" },
    );
  });

  test("only goes forward past the point of no return, and after long trying names what is left", async () => {
    const broken = site.step("roof", { run: failing(new SkerryError("conflict", "no nails")) });
    const run = start(store, clock, [
      site.kind(site.step("floor"), site.step("walls", { pointOfNoReturn: true }), broken),
    ]);
    const operation = await untilDone(run, clock, await submit(run, { type: "test.build", deadlineMs: minuteMs }));
    assert.equal(operation.status.state, "failed");
    assert.deepEqual(operation.status.problem?.facts, { left: ["roof"] });
    assert.deepEqual(site.log, ["floor", "walls"]);
    assert.ok((operation.status.steps[2]?.attempts ?? 0) > 10);
  });

  test("tries to take back for a good while, then names what it could not, and takes back the rest", async () => {
    const stuck = site.step("walls", { compensate: failing(new SkerryError("node-disconnected", "nobody there")) });
    const broken = site.step("roof", { run: failing(new SkerryError("conflict", "it rains")) });
    const run = start(store, clock, [site.kind(site.step("floor"), stuck, broken)]);
    const operation = await untilDone(run, clock, await submit(run, { type: "test.build" }));
    assert.equal(operation.status.state, "failed");
    assert.equal(operation.status.problem?.detail, "it rains");
    assert.deepEqual(operation.status.problem.facts, { left: ["walls: nobody there"] });
    assert.deepEqual(site.log, ["floor", "walls", "undo roof", "undo floor"]);
  });

  test("has one operation at a time for a subject, also within one transaction", async () => {
    const run = start(store, clock, [site.kind(site.step("walls", { run: endless }))]);
    const operation = await submit(run, { type: "test.build" });
    await assert.rejects(submit(run, { type: "test.build" }), { code: "busy" });
    assert.throws(
      () =>
        store.rehearse((tx) =>
          run.engine.submit(tx, {
            type: "test.build",
            targets: [{ kind: "Site", name: "here" }],
            actor: "a",
            cause: "c",
          }),
        ),
      {
        code: "busy",
      },
    );
    await submit(run, { type: "test.build", targets: [{ kind: "Site", name: "there" }] });
    await run.store.transact((tx) => run.engine.cancel(tx, operation, "ana"));
    await untilDone(run, clock, operation);
    await submit(run, { type: "test.build" });
  });

  test("is not kept busy by a submission that came to nothing, and a rehearsed one does not hide a real one", async () => {
    const run = start(store, clock, [site.kind(site.step("walls", { run: endless }))]);
    const request = { type: "test.build", targets: [{ kind: "Site", name: "here" }], actor: "a", cause: "c" } as const;
    store.rehearse((tx) => run.engine.submit(tx, request));
    await assert.rejects(
      run.store.transact((tx) => {
        run.engine.submit(tx, request);
        throw new SkerryError("conflict", "after all not");
      }),
    );
    await submit(run, request);
    await assert.rejects(submit(run, request), { code: "busy" });
  });

  test("looks for what works on a subject without reading all operations, also for one that was only rehearsed before", async () => {
    const run = start(store, clock, [site.kind(site.step("walls", { run: endless }))]);
    const request = { type: "test.build", targets: [{ kind: "Site", name: "here" }], actor: "a", cause: "c" } as const;
    const sparing = (tx: Transaction) =>
      run.engine.submit({ ...tx, revision: tx.revision, list: () => assert.fail("it reads all of them") }, request);
    store.rehearse(sparing);
    store.rehearse(sparing);
    await run.store.transact(sparing);
    assert.throws(() => store.rehearse(sparing), { code: "busy" });
  });

  test("ends an operation that only watches when another wish replaces it", async () => {
    const watching = { ...site.kind(site.step("walls", { run: endless })), type: "test.watch", replaceable: true };
    const run = start(store, clock, [watching, site.kind(site.step("roof"))]);
    const watched = await submit(run, { type: "test.watch" });
    await stillness(() => [run.store]);
    const next = await submit(run, { type: "test.build", replaces: true });
    assert.equal((await untilDone(run, clock, next)).status.state, "succeeded");
    const replaced = store.getById("Operation", watched.metadata.id);
    assert.equal(replaced?.status.state, "cancelled");
    assert.match(replaced.status.problem?.detail ?? "", /replaced by test.build/);
    assert.equal(replaced.status.cancelRequestedBy, next.spec.actor);
    assert.deepEqual(site.log, ["roof"]);
  });

  test("wakes a waiting step by a change in the store, without asking in between", async () => {
    let asked = 0;
    const waiting = site.step("walls", {
      run: async (context) => {
        await context.until((view) => {
          asked++;
          return view.get("Organisation", { name: "mason" });
        });
      },
    });
    const run = start(store, clock, [site.kind(waiting)]);
    const operation = await submit(run, { type: "test.build" });
    await stillness(() => [run.store]);
    assert.ok(!isDone(store, operation));
    const askedBefore = asked;
    clock.moveTo(clock.nowMs() + minuteMs);
    await stillness(() => [run.store]);
    assert.equal(asked, askedBefore);
    const at = new Date(0).toISOString();
    await store.transact((tx) =>
      tx.put({
        kind: "Organisation",
        metadata: {
          name: "mason",
          id: `org_${"0".repeat(26)}`,
          revision: 0,
          generation: 1,
          labels: {},
          createdAt: at,
          updatedAt: at,
        },
        spec: {},
        status: {},
      }),
    );
    assert.equal((await untilDone(run, clock, operation)).status.state, "succeeded");
  });

  test("waits within a limit for what may not come", async () => {
    const waiting = site.step("walls", {
      run: async (context) => {
        const answer = await context.within(minuteMs, () => false as const);
        await context.note({ answer: answer ?? "none" });
      },
    });
    const run = start(store, clock, [site.kind(waiting)]);
    const startMs = clock.nowMs();
    const operation = await untilDone(run, clock, await submit(run, { type: "test.build" }));
    assert.equal(operation.status.notes["answer"], "none");
    assert.equal(clock.nowMs() - startMs, minuteMs);
  });

  test("writes the progress of all steps together, at most four times a second", async () => {
    const talkative = site.step("walls", {
      run: async (context, signal) => {
        for (let done = 0; done <= 1000; done++)
          context.progress({ message: "bricks", done, total: 1000, unit: "items" });
        await endless(context, signal);
      },
    });
    const run = start(store, clock, [site.kind(talkative)]);
    const operations = await Promise.all(
      ["a", "b", "c"].map((name) => submit(run, { type: "test.build", targets: [{ kind: "Site", name }] })),
    );
    await stillness(() => [run.store]);
    const transactions = run.store.transactions;
    clock.moveTo(clock.nowMs() + 250);
    await stillness(() => [run.store]);
    assert.equal(run.store.transactions, transactions + 1);
    for (const { metadata } of operations)
      assert.equal(store.getById("Operation", metadata.id)?.status.steps[0]?.done, 1000);
  });

  test("forgets the oldest operations that are over", async () => {
    const run = start(store, clock, [site.kind(site.step("walls"))], { keepFinished: 10 });
    for (let count = 0; count < 30; count++) {
      clock.moveTo(clock.nowMs() + 1000);
      await untilDone(run, clock, await submit(run, { type: "test.build" }));
    }
    await stillness(() => [run.store]);
    const kept = store
      .list("Operation")
      .map(({ metadata }) => metadata.createdAt)
      .sort();
    assert.ok(kept.length >= 10 && kept.length <= 13, `${kept.length} are kept`);
    assert.equal(kept.at(-1), new Date(clock.nowMs()).toISOString());
  });

  test("stops without ending anything, and another run goes on", async () => {
    const run = start(store, clock, [site.kind(site.step("floor"), site.step("walls", { run: endless }))]);
    const operation = await submit(run, { type: "test.build" });
    await passTime(
      clock,
      () => [run.store],
      () => store.getById("Operation", operation.metadata.id)?.status.steps[1]?.state === "running",
    );
    await run.engine.stop();
    assert.equal(store.getById("Operation", operation.metadata.id)?.status.state, "running");
    const next = start(store, clock, [site.kind(site.step("floor"), site.step("walls"))]);
    assert.equal((await untilDone(next, clock, operation)).status.state, "succeeded");
    assert.deepEqual(site.log, ["floor", "walls"]);
  });

  test("ends an operation of a kind that this version does not know", async () => {
    const first = start(store, clock, [site.kind(site.step("walls", { run: endless }))]);
    const operation = await submit(first, { type: "test.build" });
    await stillness(() => [first.store]);
    first.store.kill();
    const second = start(store, clock, []);
    assert.equal((await untilDone(second, clock, operation)).status.state, "failed");
  });
});
