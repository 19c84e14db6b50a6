import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SkerryError } from "@skerry/model";
import type { Noted } from "../src/audit/record.ts";
import type { CommitLog } from "../src/commit-log.ts";
import type { Change } from "../src/object.ts";
import { ObjectStore } from "../src/object-store.ts";
import { BaseState } from "../src/state.ts";
import { instance } from "./contract/samples.ts";

/** A log whose disk obeys the test: each commit waits until the test lets it succeed or fail. */
class HeldLog implements CommitLog {
  readonly #commits: { changes: readonly Change[]; answer: PromiseWithResolvers<void> }[] = [];
  #arrived = Promise.withResolvers<void>();
  /** What the last commit was told of records. */
  noted: readonly Noted[] = [];

  commit(changes: readonly Change[], noted: readonly Noted[] = []): Promise<void> {
    this.noted = noted;
    const answer = Promise.withResolvers<void>();
    this.#commits.push({ changes, answer });
    this.#arrived.resolve();
    return answer.promise;
  }

  read(): Promise<never> {
    return Promise.reject(new Error("nothing is read here"));
  }

  readonly audit = { read: () => this.read(), headAt: () => this.read() };

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Waits for the next commit and ends it; returns the revisions that it carried. */
  async finish(error?: Error): Promise<number[]> {
    await this.#arrived.promise;
    this.#arrived = Promise.withResolvers();
    const commit = this.#commits.shift();
    assert.ok(commit !== undefined);
    if (error === undefined) commit.answer.resolve();
    else commit.answer.reject(error);
    return commit.changes.map((change) => change.event.revision);
  }
}

function makeStore(): { store: ObjectStore; log: HeldLog } {
  const log = new HeldLog();
  const durable = new BaseState(0);
  return { log, store: new ObjectStore({ log, zoneId: "zon_x", durable, keep: 100, trimmedThrough: 0, now: () => 0 }) };
}

function put(store: ObjectStore, serial: number): Promise<unknown> {
  return store.transact((tx) => tx.put(instance(serial, `i-${serial}`)));
}

/** Notes when a promise ends, and how. */
function watch(promise: Promise<unknown>): { state: string } {
  const seen = { state: "pending" };
  promise.then(
    () => (seen.state = "resolved"),
    (error: unknown) => (seen.state = error instanceof SkerryError ? error.code : String(error)),
  );
  return seen;
}

/** Lets everything that could run now run. */
async function turn(): Promise<void> {
  for (let count = 0; count < 3; count++) await new Promise((resolve) => setImmediate(resolve));
}

describe("the store over any backend", () => {
  test("acknowledges nothing, and shows nothing, before its commit has returned", async () => {
    const { store, log } = makeStore();
    let told = 0;
    store.subscribe((events) => (told += events.length));
    const seen = watch(put(store, 1));
    await turn();
    assert.deepEqual([seen.state, store.revision, store.list("Instance").length, told], ["pending", 0, 0, 0]);
    await log.finish();
    await turn();
    assert.deepEqual([seen.state, store.revision, store.list("Instance").length, told], ["resolved", 1, 1, 1]);
  });

  test("sends what comes during a commit as the next one", async () => {
    const { store, log } = makeStore();
    const all = [put(store, 1), put(store, 2)];
    await turn();
    all.push(put(store, 3), put(store, 4), put(store, 5));
    assert.deepEqual(await log.finish(), [1, 2]);
    assert.deepEqual(await log.finish(), [3, 4, 5]);
    await Promise.all(all);
  });

  test("gives a commit the notes of its own transactions, and none of those that came to nothing", async () => {
    const { store, log } = makeStore();
    const noted = (serial: number): Promise<unknown> =>
      store.transact((tx) => tx.put(instance(serial, `i-${serial}`)), {
        actor: { name: `a-${serial}` },
        cause: "test",
      });
    const all = [noted(1), put(store, 2)];
    await turn();
    const lost = [noted(3), noted(4)].map(watch);
    const actors = (): unknown => log.noted.map(({ actor, first, last }) => [actor, first, last]);
    assert.deepEqual(actors(), [["a-1", 1, 1]]);
    await log.finish();
    await turn();
    assert.deepEqual(actors(), [
      ["a-3", 3, 3],
      ["a-4", 4, 4],
    ]);
    // On top of what is about to fail.
    lost.push(watch(noted(7)));
    await log.finish(new SkerryError("storage-full", "full"));
    await turn();
    all.push(put(store, 5), noted(6));
    await turn();
    assert.deepEqual(actors(), [["a-6", 4, 4]]);
    await log.finish();
    await Promise.all(all);
    assert.deepEqual(
      lost.map(({ state }) => state),
      ["storage-full", "storage-full", "storage-full"],
    );
  });

  test("an answer made from what is in flight, a refusal too, waits for it", async () => {
    const { store, log } = makeStore();
    const first = watch(put(store, 1));
    const read = watch(store.transact((tx) => tx.list("Instance").length));
    const clash = watch(store.transact((tx) => tx.put(instance(2, "i-1"))));
    await turn();
    assert.deepEqual([first.state, read.state, clash.state], ["pending", "pending", "pending"]);
    await log.finish();
    await turn();
    assert.deepEqual([first.state, read.state, clash.state], ["resolved", "resolved", "already-exists"]);
    assert.equal((await store.transact((tx) => tx.list("Instance").length)).result, 1);
  });

  test("a tracker is told of what is in flight at once, and to count anew when that comes to nothing", async () => {
    const { store, log } = makeStore();
    const told: string[] = [];
    const stop = store.track({
      reset: (newest) => told.push(`reset ${newest.list("Instance").length}`),
      applied: (events, newest) => told.push(`${events.length} ${newest.list("Instance").length}`),
    });
    const kept = put(store, 1);
    assert.deepEqual(told, ["reset 0", "1 1"]);
    store.rehearse((tx) => tx.put(instance(7, "i-7")));
    await log.finish();
    await kept;
    const lost = watch(put(store, 2));
    await turn();
    await log.finish(new SkerryError("storage-full", "full"));
    await turn();
    assert.deepEqual([lost.state, told], ["storage-full", ["reset 0", "1 1", "1 2", "reset 1"]]);
    stop();
    const unheard = put(store, 3);
    await log.finish();
    await unheard;
    assert.equal(told.length, 4);
  });

  test("a full disk rejects all that is in flight, restores the durable state, and the store goes on", async () => {
    const { store, log } = makeStore();
    const kept = put(store, 1);
    await log.finish();
    await kept;
    const inFlight = watch(put(store, 2));
    await turn();
    const staged = watch(put(store, 3));
    const reader = watch(store.transact((tx) => tx.list("Instance").length));
    await log.finish(new SkerryError("storage-full", "full"));
    await turn();
    assert.deepEqual([inFlight.state, staged.state, reader.state], ["storage-full", "storage-full", "storage-full"]);
    assert.deepEqual(store.rehearse((tx) => [tx.revision, tx.list("Instance").length]).result, [1, 1]);
    const next = put(store, 3);
    assert.deepEqual(await log.finish(), [2]);
    await next;
    assert.deepEqual(
      store.list("Instance").map((object) => object.metadata.name),
      ["i-1", "i-3"],
    );
  });

  test("any other failure ends the store, since what is on the disk is not known any more", async () => {
    const { store, log } = makeStore();
    const inFlight = watch(put(store, 1));
    await log.finish(new Error("input/output error"));
    await turn();
    assert.equal(inFlight.state, "unavailable");
    await assert.rejects(put(store, 2), (error) => error instanceof SkerryError && error.code === "unavailable");
    assert.equal(store.list("Instance").length, 0);
  });

  test("a listener that throws keeps neither other listeners nor callers from the change", async (t) => {
    const { store, log } = makeStore();
    const surfaced = new Promise((resolve) => {
      const others = process.listeners("uncaughtException");
      process.removeAllListeners("uncaughtException");
      process.once("uncaughtException", resolve);
      t.after(() => {
        for (const other of others) process.on("uncaughtException", other);
      });
    });
    store.subscribe(() => {
      throw new RangeError("a listener's defect");
    });
    let told = 0;
    store.subscribe((events) => (told += events.length));
    const done = put(store, 1);
    await log.finish();
    await done;
    assert.equal(told, 1);
    assert.ok((await surfaced) instanceof RangeError);
  });
});
