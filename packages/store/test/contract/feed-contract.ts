import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SkerryError } from "@skerry/model";
import type { ChangeEvent, Store } from "@skerry/store";
import { placeFor } from "./place.ts";
import type { Backend } from "./place.ts";
import { assertSameList } from "./same-list.ts";
import { instance } from "./samples.ts";

function tooOld(error: unknown): boolean {
  return error instanceof SkerryError && error.code === "revision-too-old";
}

/** Follows from `since` until the change with revision `last`, failing after 20 s. */
export async function follow(store: Store, since: number, last: number): Promise<ChangeEvent[]> {
  const events: ChangeEvent[] = [];
  if (since >= last) return events;
  for await (const event of store.changes(since, AbortSignal.timeout(20_000))) {
    events.push(event);
    if (event.revision >= last) return events;
  }
  throw new Error(`the feed ended at ${events.at(-1)?.revision}, before ${last}`);
}

function put(store: Store, serial: number): Promise<unknown> {
  return store.transact((tx) => tx.put(instance(serial, `i-${serial}`)));
}

async function putMany(store: Store, from: number, to: number): Promise<void> {
  await Promise.all(Array.from({ length: to - from }, (_, index) => put(store, from + index)));
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

/** The change feed. */
export function feedContract(backend: Backend): void {
  describe("change feed", () => {
    test("gives every change since a revision once and in order, past ones and those still to come", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      await putMany(store, 0, 50);
      const whole = follow(store, 0, 300);
      const part = follow(store, 30, 300);
      for (let start = 50; start < 300; start += 50) await putMany(store, start, start + 50);
      assert.deepEqual(
        (await whole).map((event) => event.revision),
        range(1, 300),
      );
      assert.deepEqual(
        (await part).map((event) => event.revision),
        range(31, 300),
      );
    });

    test("tells created, updated and deleted apart, and shows a deleted object as it last was", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      await put(store, 1);
      await put(store, 1);
      const { changes } = await store.transact((tx) => tx.delete("Instance", instance(1, "").metadata.id));
      const events = await follow(store, 0, 3);
      assert.deepEqual(
        events.map((event) => event.type),
        ["created", "updated", "deleted"],
      );
      assert.deepEqual(
        events.map((event) => event.object.metadata.revision),
        [1, 2, 2],
      );
      assert.deepEqual(events[2], changes[0]);
    });

    test("reads on from the log after a restart as it would have before", async (t) => {
      const place = await placeFor(t, backend);
      const before = await place.open();
      await putMany(before, 0, 1200);
      await before.transact((tx) => tx.delete("Instance", instance(7, "").metadata.id));
      const live = await follow(before, 0, 1201);
      await before.close();
      const after = await place.open();
      const following = follow(after, 0, 1202);
      await put(after, 2000);
      assertSameList((await following).slice(0, -1), live);
    });

    test("ends when its signal aborts, also while it waits, and when the store closes", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      await put(store, 1);
      const abort = new AbortController();
      const collect = async (signal: AbortSignal): Promise<number[]> => {
        const seen: number[] = [];
        for await (const event of store.changes(0, signal)) {
          seen.push(event.revision);
          abort.abort();
        }
        return seen;
      };
      assert.deepEqual(await collect(abort.signal), [1]);
      assert.deepEqual(await collect(AbortSignal.abort()), []);
      const untilClosed = collect(new AbortController().signal);
      // This one has not come as far yet.
      const behind = store.changes(0, new AbortController().signal)[Symbol.asyncIterator]();
      await store.close();
      assert.deepEqual(await untilClosed, [1]);
      assert.equal((await behind.next()).done, true);
    });

    test("refuses at once a revision that the log no longer reaches, and one from the future", async (t) => {
      const place = await placeFor(t, backend);
      const store = await place.open({ keepChanges: 10 });
      await putMany(store, 0, 25);
      const { signal } = new AbortController();
      assert.throws(() => store.changes(14, signal), tooOld);
      assert.throws(() => store.changes(26, signal), tooOld);
      assert.deepEqual(
        (await follow(store, 15, 25)).map((event) => event.revision),
        range(16, 25),
      );
      await store.close();
      // A longer memory from now on does not bring back what was forgotten.
      const after = await place.open({ keepChanges: 1000 });
      assert.throws(() => after.changes(14, signal), tooOld);
      assert.deepEqual(
        (await follow(after, 15, 25)).map((event) => event.revision),
        range(16, 25),
      );
      assert.equal(after.list("Instance").length, 25);
    });

    test("a consumer that the log leaves behind is told, and never skips a change", async (t) => {
      const store = await (await placeFor(t, backend)).open({ keepChanges: 10 });
      await putMany(store, 0, 5);
      const iterator = store.changes(0, AbortSignal.timeout(20_000))[Symbol.asyncIterator]();
      assert.equal((await iterator.next()).value?.revision, 1);
      await putMany(store, 5, 4200);
      const seen = [1];
      const drain = async (): Promise<void> => {
        for (;;) seen.push((await iterator.next()).value?.revision ?? Number.NaN);
      };
      await assert.rejects(drain(), tooOld);
      assertSameList(seen, range(1, seen.length));
    });

    test("a slow consumer far behind gets all that the log keeps", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      const iterator = store.changes(0, AbortSignal.timeout(20_000))[Symbol.asyncIterator]();
      const seen: number[] = [];
      const step = iterator.next();
      await putMany(store, 0, 4200);
      seen.push((await step).value?.revision ?? 0);
      while (seen.length < 4200) seen.push((await iterator.next()).value?.revision ?? 0);
      assertSameList(seen, range(1, 4200));
    });

    test("subscribers are called after changes are durable, in order, before the transaction resolves", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      const seen: string[] = [];
      const stop = store.subscribe((events) => {
        for (const event of events) seen.push(`event ${event.revision} at ${store.revision}`);
        // A listener may start the next transaction.
        if (events.at(-1)?.revision === 1) void put(store, 2).then(() => seen.push("done 2"));
      });
      await put(store, 1).then(() => seen.push("done 1"));
      await follow(store, 0, 2);
      await store.transact(() => undefined);
      assert.deepEqual(seen, ["event 1 at 1", "done 1", "event 2 at 2", "done 2"]);
      stop();
      await put(store, 3);
      assert.equal(seen.length, 4);
    });
  });
}
