import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SkerryError } from "@skerry/model";
import type { Transaction } from "@skerry/store";
import { placeFor } from "./place.ts";
import type { Backend } from "./place.ts";
import { assertSameList } from "./same-list.ts";
import { instance, organisation } from "./samples.ts";

function withCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof SkerryError && error.code === code;
}

/** Transactions, reads and what a restart finds. */
export function transactionContract(backend: Backend): void {
  describe("transactions", () => {
    test("an acknowledged object is found by name, by id and in its list, with revision and time", async (t) => {
      const place = await placeFor(t, backend);
      const store = await place.open({ now: () => Date.UTC(2026, 5, 1) });
      const { revision, changes, result } = await store.transact((tx) => tx.put(instance(1, "a")));
      assert.equal(revision, 1);
      assert.equal(result.metadata.revision, 1);
      assert.equal(result.metadata.updatedAt, "2026-06-01T00:00:00.000Z");
      assert.equal(result.metadata.createdAt, instance(1, "a").metadata.createdAt);
      assert.equal(store.revision, 1);
      assert.equal(store.get("Instance", { project: "default", name: "a" }), result);
      assert.equal(store.getById("Instance", result.metadata.id), result);
      assert.deepEqual(store.list("Instance"), [result]);
      assert.deepEqual(changes, [
        {
          revision: 1,
          kind: "Instance",
          id: result.metadata.id,
          project: "default",
          name: "a",
          type: "created",
          object: result,
          json: JSON.stringify(result),
        },
      ]);
    });

    test("a tracker may change more at the end of a transaction, unless that is rehearsed, fails or changes nothing", async (t) => {
      const place = await placeFor(t, backend);
      const store = await place.open({ now: () => 1234 });
      const concluded: number[] = [];
      const stop = store.track({
        reset: () => undefined,
        applied: () => undefined,
        conclude(tx, nowMs) {
          concluded.push(nowMs);
          tx.put(organisation(2, "follows"));
        },
      });
      const put = (tx: Transaction) => tx.put(organisation(1, "first"));
      store.rehearse(put);
      await assert.rejects(
        store.transact((tx) => (put(tx), assert.fail("undone"))),
        /undone/,
      );
      await store.transact((tx) => tx.list("Organisation"));
      assert.deepEqual([concluded, store.list("Organisation")], [[], []]);
      const { changes } = await store.transact(put);
      assert.deepEqual(
        changes.map(({ name }) => name),
        ["first", "follows"],
      );
      assert.deepEqual(concluded, [1234]);
      stop();
    });

    test("what is amended stays one change; anything but the last change of the same object is put", async (t) => {
      const place = await placeFor(t, backend);
      const store = await place.open();
      const before = await store.transact((tx) => tx.put(organisation(1, "kept")));
      const { changes, revision, result } = await store.transact((tx) => {
        const made = tx.put(organisation(2, "made"));
        const amended = tx.amend({ ...made, metadata: { ...made.metadata, labels: { amended: "yes" } } });
        assert.equal(tx.get("Organisation", { name: "made" }), amended);
        tx.amend({ ...before.result, metadata: { ...before.result.metadata, labels: { amended: "no" } } });
        tx.delete("Organisation", before.result.metadata.id);
        tx.amend(before.result);
        return amended;
      });
      assert.equal(revision, 5);
      assert.deepEqual(
        changes.map((change) => [change.revision, change.type, change.name, change.object.metadata.labels]),
        [
          [2, "created", "made", { amended: "yes" }],
          [3, "updated", "kept", { amended: "no" }],
          [4, "deleted", "kept", { amended: "no" }],
          [5, "created", "kept", before.result.metadata.labels],
        ],
      );
      assert.equal(changes[0]?.json, JSON.stringify(result));
      await store.close();
      const again = await place.open();
      assert.equal(again.revision, 5);
      assert.deepEqual(again.get("Organisation", { name: "made" }), result);
      assert.equal(again.get("Organisation", { name: "kept" })?.metadata.revision, 5);
    });

    test("lists are in order of project and name, and narrow to one project", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      const places = [
        ["a-b", "x"],
        ["a", "z"],
        ["a", "b-1"],
        ["a", "b"],
        ["ab", "a"],
      ] as const;
      await store.transact((tx) => {
        for (const [index, [project, name]] of places.entries()) tx.put(instance(index, name, project));
        assert.deepEqual(
          tx.list("Instance", "a").map((object) => object.metadata.name),
          ["b", "b-1", "z"],
        );
      });
      const all = store.list("Instance").map(({ metadata }) => `${metadata.project}/${metadata.name}`);
      assert.deepEqual(all, ["a/b", "a/b-1", "a/z", "a-b/x", "ab/a"]);
      assert.deepEqual(
        store.list("Instance", "a").map((object) => object.metadata.name),
        ["b", "b-1", "z"],
      );
      assert.deepEqual(store.list("Instance", "b"), []);
      await store.transact((tx) => tx.delete("Instance", instance(3, "b").metadata.id));
      assert.deepEqual(
        store.list("Instance", "a").map((object) => object.metadata.name),
        ["b-1", "z"],
      );
    });

    test("what is stored is frozen, and what was passed in stays the caller's", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      const mine = instance(1, "a");
      const { result } = await store.transact((tx) => tx.put(mine));
      mine.spec.vcpus = 7;
      assert.equal(store.getById("Instance", mine.metadata.id)?.spec.vcpus, 1);
      assert.throws(() => {
        result.spec.vcpus = 9;
      }, TypeError);
      assert.throws(
        () => result.status.conditions.push({ type: "A", state: "true", reason: "B", changedAt: "" }),
        TypeError,
      );
    });

    test("a name that another object holds is refused, and the whole transaction with it", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      await store.transact((tx) => tx.put(instance(1, "a")));
      const clash = store.transact((tx) => {
        tx.put(instance(2, "b"));
        tx.put(instance(3, "a"));
      });
      await assert.rejects(clash, withCode("already-exists"));
      assert.equal(store.revision, 1);
      assert.equal(store.list("Instance").length, 1);
      await store.transact((tx) => tx.put(instance(3, "a", "other")));
      await store.transact((tx) => tx.put(organisation(4, "a")));
    });

    test("a new name frees the old one, and a deleted object its name, also inside one transaction", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      await store.transact((tx) => tx.put(instance(1, "a")));
      await store.transact((tx) => {
        tx.put(instance(1, "b"));
        tx.put(instance(2, "a"));
        tx.delete("Instance", instance(1, "b").metadata.id);
        tx.put(instance(3, "b"));
        assert.equal(tx.get("Instance", { project: "default", name: "b" })?.metadata.id, instance(3, "b").metadata.id);
      });
      const found = store.list("Instance").map(({ metadata }) => [metadata.name, metadata.id]);
      assert.deepEqual(found, [
        ["a", instance(2, "a").metadata.id],
        ["b", instance(3, "b").metadata.id],
      ]);
      assert.equal(store.revision, 5);
    });

    test("deleting what is not there changes nothing", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      const { revision, changes } = await store.transact((tx) => tx.delete("Instance", instance(1, "a").metadata.id));
      assert.deepEqual([revision, changes], [0, []]);
    });

    test("whatever the function throws rejects and leaves no trace", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      const broken = store.transact((tx) => {
        tx.put(instance(1, "a"));
        throw new RangeError("mine");
      });
      await assert.rejects(broken, RangeError);
      const next = await store.transact((tx) => [
        tx.list("Instance").length,
        tx.put(instance(2, "a")).metadata.revision,
      ]);
      assert.deepEqual(next.result, [0, 1]);
    });

    test("transactions see what is in flight, reads only what is durable", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      const first = store.transact((tx) => tx.put(instance(1, "a")));
      assert.equal(store.get("Instance", { project: "default", name: "a" }), undefined);
      assert.equal(store.revision, 0);
      const second = store.transact(
        (tx) => tx.list("Instance").length + (tx.get("Instance", { project: "default", name: "a" }) ? 1 : 0),
      );
      // It has no change of its own, and still must not answer before what it read is durable.
      let firstDone = false;
      void first.then(() => (firstDone = true));
      assert.equal((await second).result, 2);
      assert.equal(firstDone, true);
      assert.equal((await second).revision, 1);
    });

    test("every change has its own revision, one more than the change before, through any number of transactions", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      const work = Array.from({ length: 200 }, (_, index) =>
        store.transact((tx) => {
          for (let part = 0; part <= index % 3; part++) tx.put(instance(index * 3 + part, `i-${index}-${part}`));
        }),
      );
      const revisions = (await Promise.all(work)).flatMap(({ changes }) => changes.map((change) => change.revision));
      assert.deepEqual(
        revisions,
        Array.from({ length: revisions.length }, (_, index) => index + 1),
      );
      assert.equal(store.revision, revisions.length);
    });

    test("a rehearsal answers like the transaction and leaves no trace", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      const work = (tx: Transaction) => tx.put(instance(1, "a")).metadata.revision;
      const rehearsed = store.rehearse(work);
      assert.equal(rehearsed.revision, 1);
      assert.deepEqual(
        rehearsed.changes.map((change) => [change.type, change.name]),
        [["created", "a"]],
      );
      assert.equal(store.rehearse((tx) => tx.list("Instance").length).result, 0);
      assert.equal((await store.transact(work)).result, rehearsed.result);
    });

    test("a transaction knows what it has changed so far, and what it found", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      const { result: first } = await store.transact((tx) => tx.put(instance(1, "a")));
      const { changes, result } = await store.transact((tx) => {
        assert.deepEqual(tx.written, []);
        const { written } = tx;
        const second = tx.put({ ...first, spec: { ...first.spec, vcpus: 7 } });
        tx.delete("Instance", "ins_x");
        assert.equal(written.length, 1);
        tx.delete("Instance", first.metadata.id);
        assert.equal(tx.written, written);
        assert.deepEqual(
          written.map(({ before }) => before),
          [first, second],
        );
        return written.map(({ event }) => event);
      });
      assert.deepEqual(result, changes);
    });

    test("misuse is refused: a promise, a transaction inside another, a transaction kept for later", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      // oxlint-disable-next-line typescript/require-await -- it is what must be refused
      await assert.rejects(
        store.transact(async (tx) => tx.put(instance(1, "a"))),
        /synchronous/,
      );
      await assert.rejects(
        store.transact(() => store.rehearse(() => 0)),
        /inside another/,
      );
      const { result } = await store.transact((tx) => tx);
      assert.throws(() => result.put(instance(1, "a")), /after its end/);
      assert.throws(() => result.delete("Instance", "ins_x"), /after its end/);
      assert.equal(store.rehearse((tx) => tx.revision).result, 0);
    });

    test("an object that has no project but needs one is refused, and the other way round", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      const { project: _, ...nowhere } = instance(1, "a").metadata;
      await assert.rejects(
        store.transact((tx) => tx.put({ ...instance(1, "a"), metadata: nowhere })),
        withCode("invalid-request"),
      );
      const somewhere = { ...organisation(1, "a"), metadata: { ...organisation(1, "a").metadata, project: "p" } };
      await assert.rejects(
        store.transact((tx) => tx.put(somewhere)),
        withCode("invalid-request"),
      );
    });

    test("opened again, it is the same zone with the same objects and goes on with the next revision", async (t) => {
      const place = await placeFor(t, backend);
      const before = await place.open();
      await before.transact((tx) => {
        for (let serial = 0; serial < 2500; serial++) tx.put(instance(serial, `i-${serial}`, `p-${serial % 7}`));
        tx.put(organisation(1, "o"));
      });
      await before.transact((tx) => tx.delete("Instance", instance(5, "").metadata.id));
      const [zoneId, instances] = [before.zoneId, before.list("Instance")];
      await before.close();
      const after = await place.open();
      assert.equal(after.zoneId, zoneId);
      assert.equal(after.revision, 2502);
      assertSameList(after.list("Instance"), instances);
      assert.throws(() => Object.assign(after.list("Instance")[0]?.spec ?? {}, { vcpus: 3 }), TypeError);
      assert.equal(after.list("Organisation").length, 1);
      assert.equal((await after.transact((tx) => tx.put(instance(5, "again")))).revision, 2503);
    });

    test("closing waits for what is in flight and refuses what comes later", async (t) => {
      const place = await placeFor(t, backend);
      const store = await place.open();
      const work = Array.from({ length: 20 }, (_, serial) =>
        store.transact((tx) => tx.put(instance(serial, `i-${serial}`))),
      );
      const closed = store.close();
      await assert.rejects(
        store.transact((tx) => tx.put(instance(99, "late"))),
        withCode("unavailable"),
      );
      await closed;
      assert.equal((await Promise.all(work)).length, 20);
      await store.close();
      assert.equal((await place.open()).list("Instance").length, 20);
    });
  });
}
