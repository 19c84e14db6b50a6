import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SkerryError, type OperationResource } from "@skerry/model";
import type { Store } from "@skerry/store";
import { ProgressBook } from "../../src/operations/progress.ts";
import { ManualClock } from "../fakes/manual-clock.ts";
import { quietLog } from "../fakes/quiet.ts";
import { empty, useScratchStore } from "../fakes/scratch-store.ts";
import { startEngine, submit } from "./engine-run.ts";

describe("what a running step says of itself", () => {
  let store: Store;
  useScratchStore((opened) => (store = opened));

  /** An operation whose only step goes on until the test ends. */
  async function running(): Promise<OperationResource> {
    await empty(store);
    const forever = { name: "wait", run: () => new Promise<void>(() => undefined) };
    const run = startEngine(store, new ManualClock(), [{ type: "test", deadlineMs: 1e9, steps: () => [forever] }]);
    const operation = await submit(run, { type: "test" });
    run.store.kill();
    return operation;
  }
  const messageOf = ({ metadata }: OperationResource) =>
    store.getById("Operation", metadata.id)?.status.steps[0]?.message;

  test("is written in the end where the disk is full at first, newest words first", async () => {
    const operation = await running();
    const clock = new ManualClock();
    const ends: Promise<unknown>[] = [];
    let full = true;
    const transact: Store["transact"] = (work) => {
      const end = full ? Promise.reject(new SkerryError("storage-full", "full")) : store.transact(work);
      ends.push(end.catch(() => undefined));
      return end;
    };
    const book = new ProgressBook({
      store: Object.assign(Object.create(store) as Store, { transact }),
      clock,
      log: quietLog,
    });
    const later = async () => {
      clock.moveTo(clock.nowMs() + 10_000);
      await Promise.all(ends);
    };
    const { id } = operation.metadata;
    book.set(id, 0, { message: "waits for the node", done: 1 });
    await later();
    book.set(id, 0, { done: 2 });
    await later();
    assert.equal(messageOf(operation), undefined);
    full = false;
    await later();
    assert.equal(messageOf(operation), "waits for the node");
    assert.equal(store.getById("Operation", id)?.status.steps[0]?.done, 2);
    book.close();
  });
});
