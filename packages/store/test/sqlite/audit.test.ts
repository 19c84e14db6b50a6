import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { describe, test, type TestContext } from "node:test";
import { openSqliteStore } from "@skerry/store";
import { wholeTrail } from "../contract/audit-trail.ts";
import { instance } from "../contract/samples.ts";
import { makeSqlitePlace } from "./place.ts";

const note = { actor: { name: "ana" }, cause: "test" };

/** A store's file with one object, after `sql` was run on it. */
async function changedFile(t: TestContext, sql: string): Promise<string> {
  const place = await makeSqlitePlace();
  const { path } = place;
  t.after(() => place.dispose());
  const store = await openSqliteStore({ path });
  await store.transact((tx) => tx.put(instance(1, "a")));
  await store.close();
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
  return path;
}

describe("the audit log in SQLite", () => {
  test("is written in the commit of the change: where no record can be, there is no change", async (t) => {
    const refuse = "CREATE TRIGGER no BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'on purpose'); END";
    const path = await changedFile(t, refuse);
    const store = await openSqliteStore({ path });
    const noted = store.transact((tx) => tx.put(instance(2, "b")), note);
    await assert.rejects(noted, { code: "unavailable", message: /on purpose/ });
    await store.close();
    const again = await openSqliteStore({ path });
    t.after(() => again.close());
    assert.deepEqual(
      again.list("Instance").map(({ metadata }) => metadata.name),
      ["a"],
    );
    await again.transact((tx) => tx.put(instance(3, "c")));
    assert.deepEqual(await wholeTrail(again), []);
  });

  test("begins empty in a database of version 2, whose objects are as they were", async (t) => {
    const older = "DROP TABLE audit; UPDATE meta SET value = '2' WHERE name = 'schema-version'";
    const path = await changedFile(t, older);
    const store = await openSqliteStore({ path });
    await store.transact((tx) => tx.delete("Instance", instance(1, "").metadata.id), note);
    const [told, ...more] = await wholeTrail(store);
    assert.deepEqual(more, []);
    assert.deepEqual(
      told?.changes.map(({ type, name, before }) => [type, name, before?.metadata.revision]),
      [["deleted", "a", 1]],
    );
    await store.close();
    const db = new DatabaseSync(path, { readOnly: true });
    t.after(() => db.close());
    const version = db.prepare("SELECT value FROM meta WHERE name = 'schema-version'").get();
    assert.equal(version?.["value"], "3");
  });
});
