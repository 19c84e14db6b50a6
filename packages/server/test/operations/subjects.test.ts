import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { OperationResource, OperationState } from "@skerry/model";
import type { Store } from "@skerry/store";
import { Subjects } from "../../src/operations/subjects.ts";
import { draft } from "../api/api-harness.ts";
import { useScratchStore } from "../fakes/scratch-store.ts";

const subject = (name: string) => ({ kind: "Site", name });

function operation(name: string, on: string): OperationResource {
  const deadlineAt = new Date(0).toISOString();
  const spec = { type: "test", targets: [subject(on)], actor: "a", cause: "c", input: {}, deadlineAt };
  return draft("Operation", { name }, spec, { state: "running", steps: [], notes: {} });
}

describe("what works on a subject", () => {
  let store: Store;
  useScratchStore((opened) => (store = opened));

  test("is what was submitted and is not over, in the newest state or by the transaction itself; nothing else is kept", async () => {
    const subjects = new Subjects();
    const stop = store.track({ reset: () => subjects.clear(), applied: (events) => subjects.applied(events) });
    const ends = (one: OperationResource, state: OperationState) => ({ ...one, status: { ...one.status, state } });
    const on = (name: string) => store.rehearse((tx) => subjects.activeOn(tx, subject(name))?.metadata.name).result;

    store.rehearse((tx) => {
      tx.put(operation("never", "a"));
      assert.equal(subjects.activeOn(tx, subject("a"))?.metadata.name, "never");
    });
    assert.deepEqual([on("a"), subjects.size], [undefined, 0]);

    const first = operation("first", "a");
    const committed = store.transact((tx) => tx.put(first));
    assert.equal(on("a"), "first", "in flight");
    await committed;
    assert.deepEqual([on("a"), on("b")], ["first", undefined]);

    store.rehearse((tx) => {
      tx.put(ends(first, "failed"));
      assert.equal(subjects.activeOn(tx, subject("a")), undefined);
      tx.put(operation("second", "a"));
      assert.equal(subjects.activeOn(tx, subject("a"))?.metadata.name, "second");
    });
    assert.equal(on("a"), "first");

    await store.transact((tx) => tx.put(ends(first, "succeeded")));
    assert.deepEqual([on("a"), subjects.size], [undefined, 0]);
    await store.transact((tx) => {
      tx.put(operation("third", "a"));
      tx.put(operation("other", "b"));
    });
    await store.transact((tx) => tx.delete("Operation", tx.get("Operation", { name: "third" })?.metadata.id ?? ""));
    assert.deepEqual([on("a"), on("b"), subjects.size], [undefined, "other", 1]);
    stop();
  });
});
