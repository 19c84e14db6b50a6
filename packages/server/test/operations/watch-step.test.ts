import assert from "node:assert/strict";
import { after, beforeEach, describe, test } from "node:test";
import { SkerryError } from "@skerry/model";
import type { Store } from "@skerry/store";
import type { OperationKind, WatchStep } from "../../src/operations/operation-kind.ts";
import { ProgressBook } from "../../src/operations/progress.ts";
import { WakeRoom } from "../../src/operations/wake.ts";
import { WatchRoom } from "../../src/operations/watch-room.ts";
import { ManualClock } from "../fakes/manual-clock.ts";
import { stillness } from "../fakes/passing-time.ts";
import { quietLog } from "../fakes/quiet.ts";
import { empty, useScratchStore } from "../fakes/scratch-store.ts";
import { isDone, startEngine, submit, untilDone, type EngineRun } from "./engine-run.ts";

const minuteMs = 60_000;
const organisationId = `org_${"0".repeat(26)}`;

describe("a step that only waits", () => {
  let store: Store;
  let clock: ManualClock;
  let run: EngineRun;
  const runs: EngineRun[] = [];
  let asked: string[];

  const killAll = (): void => {
    for (const each of runs.splice(0)) each.store.kill();
  };

  after(killAll);
  useScratchStore((opened) => (store = opened));
  beforeEach(async () => {
    killAll();
    await empty(store);
    clock = new ManualClock();
    asked = [];
  });

  /** Waits for the organisation of its name. */
  const step = (name: string, extra: Partial<WatchStep> = {}): WatchStep => ({
    name,
    isThere({ store: view, progress }) {
      asked.push(name);
      progress({ message: `looks for ${name}` });
      return view.get("Organisation", { name }) !== undefined;
    },
    ...extra,
  });
  const kindOf = (type: string, steps: readonly WatchStep[], extra: Partial<OperationKind> = {}): OperationKind => ({
    type,
    deadlineMs: 60 * minuteMs,
    replaceable: true,
    about: () => [organisationId],
    steps: () => steps,
    ...extra,
  });
  const begin = (...kinds: readonly OperationKind[]): void => {
    run = startEngine(store, clock, kinds);
    runs.push(run);
  };
  const site = (name: string) => [{ kind: "Site" as const, name }] as const;
  const call = async (name: string): Promise<void> => {
    const at = new Date(0).toISOString();
    const metadata = { name, id: organisationId, revision: 0, generation: 1, labels: {}, createdAt: at, updatedAt: at };
    await store.transact((tx) => tx.put({ kind: "Organisation", metadata, spec: {}, status: {} }));
    await stillness(() => [run.store]);
  };

  test("is asked at first and when what it is about changes, and one after the other", async () => {
    begin(kindOf("test.watch", [step("ana"), step("ben")]));
    const operation = await submit(run, { type: "test.watch" });
    await stillness(() => [run.store]);
    clock.moveTo(clock.nowMs() + minuteMs);
    await stillness(() => [run.store]);
    assert.deepEqual(asked, ["ana"]);
    assert.equal(store.getById("Operation", operation.metadata.id)?.status.steps[0]?.message, "looks for ana");
    await call("ana");
    assert.deepEqual(asked, ["ana", "ana", "ben"]);
    assert.ok(!isDone(store, operation));
    await call("ben");
    assert.equal((await untilDone(run, clock, operation)).status.state, "succeeded");
    await call("carla");
    assert.equal(asked.length, 4);
  });

  test("ends by its operation's deadline or its own limit, each at its time", async () => {
    begin(
      kindOf("test.long", [step("ana")]),
      kindOf("test.short", [step("ben", { limitMs: 2 * minuteMs })]),
      kindOf("test.middle", [step("carla")], { deadlineMs: 3 * minuteMs }),
    );
    const startMs = clock.nowMs();
    const long = await submit(run, { type: "test.long", targets: site("one") });
    const short = await submit(run, { type: "test.short", targets: site("two") });
    const middle = await submit(run, { type: "test.middle", targets: site("three") });
    for (const [operation, minutes] of [
      [short, 2],
      [middle, 3],
      [long, 60],
    ] as const) {
      const { status } = await untilDone(run, clock, operation);
      assert.deepEqual([status.state, status.problem?.code], ["failed", "deadline-exceeded"]);
      assert.equal(clock.nowMs() - startMs, minutes * minuteMs);
    }
  });

  test("ends when it is cancelled, replaced or forgotten, and is asked no more", async () => {
    begin(kindOf("test.watch", [step("ana")]), kindOf("test.next", [step("ben")]));
    const [one, two, three] = await Promise.all(
      ["one", "two", "three"].map((name) => submit(run, { type: "test.watch", targets: site(name) })),
    );
    if (one === undefined || two === undefined || three === undefined) throw new Error("nothing was submitted");
    await stillness(() => [run.store]);
    await run.store.transact((tx) => run.engine.cancel(tx, one, "ana"));
    const { status } = await untilDone(run, clock, one);
    assert.deepEqual([status.state, status.problem?.code], ["cancelled", "operation-cancelled"]);
    await submit(run, { type: "test.next", targets: site("two"), replaces: true });
    await store.transact((tx) => tx.delete("Operation", three.metadata.id));
    await stillness(() => [run.store]);
    assert.equal(store.getById("Operation", two.metadata.id)?.status.state, "cancelled");
    asked = [];
    await call("other");
    assert.deepEqual(asked, ["ben"]);
  });

  test("leaves nothing behind of an operation that another has ended or that is forgotten", async () => {
    begin(kindOf("test.watch", [step("ana")]));
    const operation = await submit(run, { type: "test.watch" });
    const wakes = new WakeRoom([]);
    const progress = new ProgressBook({ store, clock, log: quietLog });
    const room = new WatchRoom({ store, clock, log: quietLog, progress, wakes }, () => assert.fail("it goes on"));
    const { id } = operation.metadata;
    const next = { kind: "run", index: 0, limitMs: clock.nowMs() + minuteMs, cancellable: true } as const;
    for (const leave of [
      () => room.changed({ ...operation, status: { ...operation.status, state: "cancelled" } }),
      () => room.forget(id),
    ]) {
      room.begin(operation, step("ana"), next, []);
      assert.ok(room.has(id));
      leave();
      assert.ok(!room.has(id));
    }
  });

  test("fails with what it throws", async () => {
    const thrower = (error: Error): WatchStep => ({ name: "see", isThere: () => assert.fail(error) });
    begin(
      kindOf("test.known", [thrower(new SkerryError("digest-mismatch", "It is another."))]),
      kindOf("test.unforeseen", [thrower(new TypeError("a defect"))]),
    );
    const known = await submit(run, { type: "test.known", targets: site("one") });
    assert.equal((await untilDone(run, clock, known)).status.problem?.code, "digest-mismatch");
    const unforeseen = await submit(run, { type: "test.unforeseen", targets: site("two") });
    assert.equal((await untilDone(run, clock, unforeseen)).status.problem?.code, "internal");
  });

  test("is gone on with by the next engine, which leaves the operation as it is until then", async () => {
    begin(kindOf("test.watch", [step("ana")]));
    const operation = await submit(run, { type: "test.watch" });
    await stillness(() => [run.store]);
    await run.engine.stop();
    await call("ana");
    assert.ok(!isDone(store, operation));
    begin(kindOf("test.watch", [step("ana")]));
    assert.equal((await untilDone(run, clock, operation)).status.state, "succeeded");
  });
});
