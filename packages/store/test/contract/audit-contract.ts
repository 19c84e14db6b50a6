import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  makeId,
  type ApiTokenResource,
  type JoinTokenResource,
  type OperationResource,
  type ProviderResource,
} from "@skerry/model";
import type { AuditNote, Store } from "@skerry/store";
import { wholeTrail } from "./audit-trail.ts";
import { placeFor, type Backend } from "./place.ts";
import { instance, organisation } from "./samples.ts";

const note: AuditNote = {
  actor: { name: "ana", tokenId: "atk_1" },
  from: "192.0.2.7",
  cause: "PUT /api/v1/x",
  why: 'because "so"\u2028é',
};
const by = (name: string): AuditNote => ({ ...note, actor: { name } });

function wide(serial: number, vcpus: number, project?: string): ReturnType<typeof instance> {
  const blank = instance(serial, `i-${serial}`, project);
  return { ...blank, spec: { ...blank.spec, vcpus } };
}

const put = (store: Store, serial: number, vcpus = 1, name = "ana", project?: string): Promise<unknown> =>
  store.transact((tx) => tx.put(wide(serial, vcpus, project)), by(name));

/** Records of what was asked for. */
export function auditContract(backend: Backend): void {
  describe("audit", () => {
    test("a noted transaction leaves one record with each change, before and after, and the note", async (t) => {
      const place = await placeFor(t, backend);
      const store = await place.open({ now: () => 1_700_000_000_000 });
      const id = instance(1, "").metadata.id;
      await store.transact((tx) => tx.put(wide(1, 1)), note);
      await store.transact((tx) => {
        tx.put(wide(1, 2));
        tx.put(organisation(2, "acme"));
        tx.put(wide(1, 3));
        tx.amend(wide(1, 4));
      }, note);
      await store.transact((tx) => tx.delete("Instance", id), { actor: { name: "system" }, cause: "cleaning" });
      const [created, changed, deleted, ...more] = await wholeTrail(store);
      assert.deepEqual(more, []);
      assert.ok(created !== undefined && changed !== undefined && deleted !== undefined);
      const { changes: made, ...said } = created;
      assert.deepEqual(said, { seq: 1, timeMs: 1_700_000_000_000, ...note });
      const where = { kind: "Instance", id, project: "default", name: "i-1" };
      assert.deepEqual(made, [{ type: "created", ...where, revision: 1, after: made[0]?.after }]);
      assert.deepEqual(made[0]?.after?.spec, wide(1, 1).spec);
      const vcpus = (body: { readonly spec: object } | undefined): unknown =>
        body === undefined ? undefined : (body.spec as { vcpus?: number }).vcpus;
      const gist = changed.changes.map(({ type, revision, before, after }) => [
        type,
        revision,
        before?.metadata.revision,
        vcpus(before),
        vcpus(after),
      ]);
      assert.deepEqual(gist, [
        ["updated", 2, 1, 1, 2],
        ["created", 3, undefined, undefined, undefined],
        ["updated", 4, 2, 2, 4],
      ]);
      assert.equal("project" in (changed.changes[1] ?? {}), false);
      assert.deepEqual(deleted.actor, { name: "system" });
      assert.deepEqual(
        deleted.changes.map(({ type, before, after }) => [type, vcpus(before), after]),
        [["deleted", 4, undefined]],
      );
    });

    test("no record is left by what is not noted, changes nothing, fails or is rehearsed", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      await store.transact((tx) => tx.put(instance(1, "a")));
      await store.transact(() => undefined, note);
      await store.transact((tx) => tx.delete("Instance", instance(9, "").metadata.id), note);
      const refused = store.transact((tx) => {
        tx.put(instance(2, "b"));
        throw new Error("on purpose");
      }, note);
      await assert.rejects(refused);
      store.rehearse((tx) => tx.put(instance(3, "c")));
      assert.deepEqual(await wholeTrail(store), []);
      await store.transact((tx) => tx.put(instance(4, "d")), note);
      assert.equal((await wholeTrail(store)).length, 1);
    });

    test("records are in the order of their revisions, among transactions of others in the same commit", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      const all: Promise<unknown>[] = [];
      for (let serial = 0; serial < 200; serial++) {
        const isNoted = serial % 3 !== 0;
        all.push(store.transact((tx) => tx.put(wide(serial % 40, serial)), isNoted ? by(`a-${serial}`) : undefined));
      }
      await Promise.all(all);
      const told = await wholeTrail(store, 30);
      assert.equal(told.length, 133);
      let last = 0;
      for (const { actor, changes } of told) {
        const [change] = changes;
        assert.equal(changes.length, 1);
        assert.ok(change?.after !== undefined);
        assert.equal(`a-${(change.after.spec as { vcpus: number }).vcpus}`, actor.name);
        assert.equal(change.revision, Number(actor.name.slice(2)) + 1);
        assert.ok(change.revision > last);
        last = change.revision;
        // What was there before it, whether or not that was noted.
        if (change.before !== undefined) assert.equal(change.before.metadata.revision, change.revision - 40);
      }
    });

    test("the chain goes on after a restart", async (t) => {
      const place = await placeFor(t, backend);
      for (let round = 0; round < 3; round++) {
        const store = await place.open();
        assert.equal((await wholeTrail(store)).length, round * 5);
        for (let serial = 0; serial < 5; serial++) await put(store, serial, round + 1);
        assert.equal((await wholeTrail(store)).length, round * 5 + 5);
        await store.close();
      }
    });

    test("a page holds what was asked for, within bounds, and says where to go on", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      for (let serial = 0; serial < 12; serial++)
        await put(store, serial, 1, serial % 2 === 0 ? "ana" : "ben", serial < 4 ? "p" : "p-2");
      await store.transact((tx) => tx.put(organisation(50, "acme")), by("ben"));
      const seqs = async (query: Omit<Parameters<Store["audit"]["read"]>[0], "limit">, limit = 100) =>
        (await store.audit.read({ ...query, limit })).records.map(({ seq }) => seq);
      assert.deepEqual(await seqs({}, 3), [11, 12, 13]);
      assert.deepEqual(await seqs({ after: 5 }, 3), [6, 7, 8]);
      assert.equal((await store.audit.read({ after: 5, limit: 3 })).next, 8);
      assert.equal((await store.audit.read({ after: 10, limit: 3 })).next, undefined);
      assert.equal((await store.audit.read({ after: 5, limit: 3 })).start.seq, 5);
      assert.deepEqual(await seqs({ after: 13 }), []);
      assert.deepEqual(await seqs({ after: 0, actor: "ben" }), [2, 4, 6, 8, 10, 12, 13]);
      assert.deepEqual(await seqs({ actor: "ben" }, 2), [12, 13]);
      assert.deepEqual(await seqs({ after: 0, project: "p" }), [1, 2, 3, 4]);
      assert.deepEqual(await seqs({ after: 0, kind: "Organisation" }), [13]);
      assert.deepEqual(await seqs({ after: 0, kind: "Instance", actor: "ben", project: "p" }), [2, 4]);
      assert.deepEqual(await seqs({ after: 0, sinceMs: Date.now() + 60_000 }), []);
      // Bytes bound a page as well, but never below one record.
      const large = (serial: number) => ({
        ...wide(serial, 1),
        spec: { ...wide(serial, 1).spec, userData: "x".repeat(400_000) },
      });
      for (let serial = 60; serial < 63; serial++) await store.transact((tx) => tx.put(large(serial)), note);
      const page = await store.audit.read({ after: 12, limit: 100 });
      assert.deepEqual([page.records.map(({ seq }) => seq), page.next], [[13, 14], 14]);
      assert.deepEqual(await seqs({}, 3), [16]);
      assert.equal((await wholeTrail(store)).length, 16);
    });

    test("the record of a change is found by its revision, among what nobody noted", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      const expected = new Map<number, number>();
      let seq = 0;
      for (let serial = 1; serial <= 40; serial++) {
        const isNoted = serial % 3 !== 0;
        const { changes } = await store.transact(
          (tx) => {
            for (let more = 0; more <= serial % 3; more++) tx.put(wide(serial * 3 + more, 1));
          },
          isNoted ? note : undefined,
        );
        if (isNoted) seq += 1;
        for (const { revision } of changes) expected.set(revision, isNoted ? seq : seq + 1);
      }
      for (const [revision, found] of expected) {
        const { records } = await store.audit.read({ revision, limit: 1 });
        assert.deepEqual(
          records.map((record) => record.seq),
          found > seq ? [] : [found],
          `revision ${revision}`,
        );
      }
      for (const revision of [0, 1_000_000]) {
        const { records } = await store.audit.read({ revision, limit: 1 });
        assert.deepEqual(
          records.map((record) => record.seq),
          revision === 0 ? [1] : [],
        );
      }
    });

    test("the record that submitted an operation is found by its name", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      for (let serial = 0; serial < 5; serial++)
        await store.transact((tx) => {
          tx.put(wide(serial, 1));
          tx.put(operation(serial));
        }, note);
      await store.transact(
        (tx) => tx.put({ ...operation(3), status: { state: "running", steps: [], notes: {} } }),
        note,
      );
      const { records } = await store.audit.read({ operation: "op-3", limit: 10 });
      assert.deepEqual(
        records.map(({ seq }) => seq),
        [4],
      );
    });

    test("secrets of tokens and providers are in no record, of no kind of change", async (t) => {
      const store = await (await placeFor(t, backend)).open();
      const hash = "5e".repeat(32);
      const key = "sealed:AAAA";
      for (const object of [token(hash), joinToken(hash), provider(key)]) {
        await store.transact((tx) => tx.put(object), note);
        const labelled = { ...object, metadata: { ...object.metadata, labels: { x: "y" } } };
        await store.transact((tx) => tx.put(labelled), note);
        await store.transact((tx) => tx.delete(object.kind, object.metadata.id), note);
      }
      const told = await wholeTrail(store);
      assert.equal(told.length, 9);
      const text = JSON.stringify(told);
      assert.ok(!text.includes(hash) && !text.includes(key), text);
      // All else is there.
      for (const { changes } of told)
        for (const { type, before, after } of changes) {
          assert.equal(before === undefined, type === "created");
          assert.equal(after === undefined, type === "deleted");
        }
      assert.ok(text.includes("(sealed)") && text.includes('"description":"kept"'));
    });
  });
}

const time = "2026-01-01T00:00:00.000Z";
const metadata = { revision: 0, generation: 1, labels: {}, createdAt: time, updatedAt: time };
const idOf = (prefix: string, serial: number): string => makeId(prefix, serial, new Uint8Array(10));

function operation(serial: number): OperationResource {
  return {
    kind: "Operation",
    metadata: { ...metadata, name: `op-${serial}`, id: idOf("opn", serial) },
    spec: { type: "instance.create", targets: [], actor: "a", cause: "c", input: {}, deadlineAt: time },
    status: { state: "pending", steps: [], notes: {} },
  };
}

function token(secretHash: string): ApiTokenResource {
  return {
    kind: "ApiToken",
    metadata: { ...metadata, name: "t", id: idOf("atk", 1) },
    spec: { role: "viewer", description: "kept" },
    status: { secretHash },
  };
}

function joinToken(secretHash: string): JoinTokenResource {
  return {
    kind: "JoinToken",
    metadata: { ...metadata, name: "j", id: idOf("jtk", 1) },
    spec: { site: "s" },
    status: { secretHash, expiresAt: time },
  };
}

function provider(privateKey: string): ProviderResource {
  return {
    kind: "Provider",
    metadata: { ...metadata, name: "p", id: idOf("prv", 1) },
    spec: { driver: "ssh", country: "ES", ssh: { user: "root", privateKey } },
    status: { conditions: [] },
  };
}
