import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { crc32 } from "node:zlib";
import { makeBackup, openSqliteStore, readBackup, restoreSqlite, type Store } from "@skerry/store";
import { kindNames } from "@skerry/model";
import { instance, organisation } from "../contract/samples.ts";
import { makeSqlitePlace } from "../sqlite/place.ts";

const note = { actor: { name: "ana" }, cause: "test" };

const forever = new AbortController().signal;
const nowMs = Date.parse("2026-11-22T00:00:00Z");

async function textOf(store: Store, between: () => Promise<void> = async () => undefined): Promise<string> {
  let text = "";
  for await (const part of makeBackup(store, nowMs, forever)) {
    text += part;
    await between();
  }
  return text;
}

async function* linesOf(text: string): AsyncGenerator<string> {
  yield* text.replace(/\n$/, "").split("\n");
}

const all = (store: Store): unknown => kindNames.flatMap((kind) => store.list(kind));

describe("a backup", () => {
  test("restored, is the same zone with the same objects at the same revisions, and gives none of the lost ones again", async (t) => {
    const place = await makeSqlitePlace();
    const other = await makeSqlitePlace();
    t.after(() => Promise.all([place.dispose(), other.dispose()]));
    await using store = closing(await place.open());
    await store.transact((tx) => tx.put(organisation(1, "acme")));
    for (let serial = 2; serial < 30; serial++) await store.transact((tx) => tx.put(instance(serial, `i-${serial}`)));
    await store.transact((tx) => tx.delete("Instance", instance(7, "i-7").metadata.id), note);
    const content = await readBackup(linesOf(await textOf(store)));
    assert.equal(content.revision, store.revision);
    await restoreSqlite(other.path, content, nowMs);
    await using restored = closing(await other.open());
    assert.equal(restored.zoneId, store.zoneId);
    assert.deepEqual(restored.list("Instance"), store.list("Instance"));
    assert.equal(restored.get("Organisation", { name: "acme" })?.metadata.id, organisation(1, "acme").metadata.id);
    assert.ok(restored.revision > store.revision + 1_000_000);
    // The chain goes on, with a record that says why the ones before it are not here.
    const { head } = await store.audit.read({ limit: 1 });
    await restored.transact((tx) => tx.put(instance(90, "later")), note);
    const { start, records } = await restored.audit.read({ after: 0, limit: 10 });
    assert.deepEqual([head.seq, start], [1, head]);
    assert.deepEqual(
      records.map(({ seq, record }) => [seq, (JSON.parse(record) as { cause: string }).cause]),
      [
        [2, "restoration of the backup of 2026-11-22T00:00:00.000Z"],
        [3, "test"],
      ],
    );
    let chained = head.hash;
    for (const { hash, record } of records) {
      chained = createHash("sha256").update(chained).update(record).digest("hex");
      assert.equal(hash, chained);
    }
    // Whoever had seen more than the backup has must look anew.
    for (const since of [0, 5, store.revision, store.revision + 5]) {
      await assert.rejects(
        async () => {
          for await (const event of restored.changes(since, forever)) if (event.revision === restored.revision) return;
        },
        { code: "revision-too-old" },
      );
    }
  });

  test("made while everything changes, shows the one state that its last line names", async (t) => {
    const place = await makeSqlitePlace();
    const other = await makeSqlitePlace();
    t.after(() => Promise.all([place.dispose(), other.dispose()]));
    await using store = closing(await place.open());
    for (let serial = 0; serial < 1500; serial++) await store.transact((tx) => tx.put(instance(serial, `i-${serial}`)));
    const states = new Map<number, unknown>();
    let turn = 0;
    const text = await textOf(store, async () => {
      for (let count = 0; count < 20; count++) {
        const serial = (turn++ * 997) % 1500;
        const { id } = instance(serial, "x").metadata;
        await store.transact((tx) => {
          if (turn % 3 === 0) tx.delete("Instance", id);
          else
            tx.put({
              ...instance(serial, `i-${serial}`),
              spec: { ...instance(serial, "x").spec, vcpus: 1 + (turn % 8) },
            });
        });
        states.set(store.revision, all(store));
      }
    });
    const content = await readBackup(linesOf(text));
    assert.ok(turn > 0 && states.has(content.revision), "nothing changed while the backup was made");
    await restoreSqlite(other.path, content, nowMs);
    await using restored = closing(await other.open());
    const withoutTouch = (objects: unknown): unknown =>
      JSON.parse(
        JSON.stringify(objects, (key, value: unknown) => (key === "revision" || key === "updatedAt" ? 0 : value)),
      );
    assert.deepEqual(withoutTouch(all(restored)), withoutTouch(states.get(content.revision)));
  });

  test("with any byte changed, or cut short anywhere, is refused", async (t) => {
    const place = await makeSqlitePlace();
    t.after(() => place.dispose());
    await using store = closing(await place.open());
    await store.transact((tx) => tx.put(organisation(1, "acme")));
    const text = await textOf(store);
    for (let at = 0; at < text.length - 1; at++) {
      const flipped = text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 1) + text.slice(at + 1);
      await assert.rejects(readBackup(linesOf(flipped)), { code: "digest-mismatch" }, `byte ${at} changed`);
      await assert.rejects(readBackup(linesOf(text.slice(0, at))), { code: "digest-mismatch" }, `cut at ${at}`);
    }
  });

  test("is not restored over a store", async (t) => {
    const place = await makeSqlitePlace();
    t.after(() => place.dispose());
    const store = await openSqliteStore({ path: place.path });
    await store.transact((tx) => tx.put(organisation(1, "acme")));
    const content = await readBackup(linesOf(await textOf(store)));
    await store.close();
    await assert.rejects(restoreSqlite(place.path, content, nowMs), { code: "already-exists" });
    const other = join(place.path, "../other.db");
    // Left over from a store that is gone, and ahead of what is restored.
    const ahead = "0009999999999999";
    await writeFile(`${other}.seen`, `${ahead} ${crc32(ahead)}\n`);
    await restoreSqlite(other, content, nowMs);
    assert.deepEqual(
      (await readdir(dirname(other))).filter((name) => name.includes("restoring")),
      [],
    );
    const restored = await openSqliteStore({ path: other });
    assert.equal(restored.list("Organisation").length, 1);
    await restored.close();
  });
});

function closing(store: Store): Store & AsyncDisposable {
  return Object.assign(store, { [Symbol.asyncDispose]: () => store.close() });
}
