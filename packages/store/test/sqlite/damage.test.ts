import assert from "node:assert/strict";
import { copyFile, readFile, rm, writeFile } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import { describe, test } from "node:test";
import { SkerryError, kindNames } from "@skerry/model";
import { openSqliteStore, type Store } from "@skerry/store";
import { follow } from "../contract/feed-contract.ts";
import { instance, organisation } from "../contract/samples.ts";
import { makeSqlitePlace } from "./place.ts";

/** Everything that a store tells: its objects and its log. */
async function allOf(store: Store): Promise<string> {
  const log = await follow(store, 0, store.revision);
  return JSON.stringify([store.revision, store.zoneId, kindNames.flatMap((kind) => store.list(kind)), log]);
}

/** A closed store of some instances, changed and deleted too. */
async function fill(path: string): Promise<string> {
  const store = await openSqliteStore({ path });
  try {
    await store.transact((tx) => tx.put(organisation(1, "acme")));
    for (let serial = 2; serial < 12; serial++) await store.transact((tx) => tx.put(instance(serial, `i-${serial}`)));
    for (const serial of [3, 4]) await store.transact((tx) => tx.put(instance(serial, `i-${serial}`)));
    await store.transact((tx) => tx.delete("Instance", instance(5, "").metadata.id));
    return await allOf(store);
  } finally {
    await store.close();
  }
}

describe("a damaged SQLite file", () => {
  test("is refused at the start or when what is damaged is read; otherwise all is as it was", async (t) => {
    const place = await makeSqlitePlace();
    t.after(() => place.dispose());
    const whole = await fill(place.path);
    const bytes = await readFile(place.path);
    const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
    t.diagnostic(`seed ${seed}, ${bytes.length} bytes`);
    const flips = Number(process.env["FLIPS"] ?? 150);
    let refused = 0;
    for (let count = 0; count < flips; count++) {
      const at = (seed * 7919 + count * Math.ceil(bytes.length / flips)) % bytes.length;
      const path = `${place.path}.copy`;
      const harmed = Buffer.from(bytes);
      harmed[at] = (harmed[at] ?? 0) ^ (1 << ((count + seed) % 8));
      for (const suffix of ["", "-wal", "-shm", "-journal", ".owner"]) await rm(`${path}${suffix}`, { force: true });
      await writeFile(path, harmed);
      try {
        const store = await openSqliteStore({ path });
        try {
          assert.ok((await allOf(store)) === whole, `byte ${at} was changed, and the store tells something else`);
        } finally {
          await store.close();
        }
      } catch (error) {
        if (!(error instanceof SkerryError)) throw error;
        assert.ok(error.remedy !== undefined, `byte ${at}: ${error.message}`);
        refused += 1;
      }
    }
    t.diagnostic(`${refused} of ${flips} refused, the others were in unused space`);
    assert.ok(refused > 0);
  });

  test("whose log is damaged is refused, or has all that was acknowledged", async (t) => {
    const place = await makeSqlitePlace();
    t.after(() => place.dispose());
    const store = await openSqliteStore({ path: place.path });
    t.after(() => store.close());
    await store.transact((tx) => tx.put(organisation(1, "acme")));
    for (let serial = 2; serial < 40; serial++) await store.transact((tx) => tx.put(instance(serial, `i-${serial}`)));
    const whole = await allOf(store);
    // What a killed process leaves: the store goes on meanwhile.
    const [main, log, seen] = await Promise.all(
      ["", "-wal", ".seen"].map((suffix) => readFile(`${place.path}${suffix}`)),
    );
    assert.ok(main !== undefined && log !== undefined && seen !== undefined && log.length > 100_000);
    const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
    t.diagnostic(`seed ${seed}, ${log.length} bytes`);
    const flips = Number(process.env["FLIPS"] ?? 40);
    const path = `${place.path}.copy`;
    let refused = 0;
    for (let count = 0; count <= flips; count++) {
      const at = (seed * 7919 + count * Math.ceil(log.length / flips)) % log.length;
      const harmed = Buffer.from(log);
      harmed[at] = (harmed[at] ?? 0) ^ (1 << ((count + seed) % 8));
      for (const suffix of ["-shm", ".owner"]) await rm(`${path}${suffix}`, { force: true });
      await writeFile(path, main);
      await writeFile(`${path}.seen`, seen);
      // The last time it is not there at all.
      if (count < flips) await writeFile(`${path}-wal`, harmed);
      else await rm(`${path}-wal`, { force: true });
      try {
        const copy = await openSqliteStore({ path });
        try {
          assert.ok(
            (await allOf(copy)) === whole,
            `byte ${at} of the log was changed, and the store tells something else`,
          );
        } finally {
          await copy.close();
        }
      } catch (error) {
        if (!(error instanceof SkerryError)) throw error;
        assert.match(`${error.message} ${error.remedy}`, /has lost changes.*remove .*\.seen/s);
        refused += 1;
      }
    }
    t.diagnostic(`${refused} of ${flips + 1} refused`);
    assert.ok(refused > flips / 2);
  });

  for (const [what, sql] of [
    ["an object that is gone", "DELETE FROM objects WHERE kind = 'Organisation'"],
    [
      "an object that has gone back to what it was",
      "UPDATE objects SET (revision, body, sum) = (SELECT revision, body, sum FROM changes WHERE id = objects.id ORDER BY changes.revision LIMIT 1) WHERE revision = 12",
    ],
    [
      "a number in a body",
      "UPDATE objects SET body = replace(body, '\"vcpus\":', '\"vcpus\":1') WHERE kind = 'Instance'",
    ],
  ] as const) {
    test(`with ${what} is refused at the start`, async (t) => {
      const place = await makeSqlitePlace();
      t.after(() => place.dispose());
      await fill(place.path);
      const db = new DatabaseSync(place.path);
      const { changes } = db.prepare(sql).run();
      db.close();
      assert.ok(Number(changes) > 0, "nothing was damaged");
      await assert.rejects(openSqliteStore({ path: place.path }), { code: "unavailable", message: /damaged/ });
    });
  }

  for (const [what, sql] of [
    ["another zone's id", "UPDATE meta SET value = 'zon_0' WHERE name = 'zone-id'"],
    ["no zone's id", "DELETE FROM meta WHERE name = 'zone-id'"],
  ] as const) {
    test(`with ${what} is refused at the start`, async (t) => {
      const place = await makeSqlitePlace();
      t.after(() => place.dispose());
      await fill(place.path);
      const db = new DatabaseSync(place.path);
      db.exec(sql);
      db.close();
      await assert.rejects(openSqliteStore({ path: place.path }), { code: "unavailable", message: /zone's id/ });
    });
  }

  test("with a damaged definition of a table is refused, and not waited for", { timeout: 20_000 }, async (t) => {
    const place = await makeSqlitePlace();
    t.after(() => place.dispose());
    await fill(place.path);
    const bytes = await readFile(place.path);
    const at = bytes.indexOf("revision INTEGER PRIMARY KEY");
    assert.ok(at > 0);
    bytes.write("INTEGDR", at + "revision ".length);
    await writeFile(place.path, bytes);
    await assert.rejects(openSqliteStore({ path: place.path }), { code: "unavailable", message: /damaged/ });
  });

  test("of version 1, which had no sums, is opened with all that it holds and has them from then on", async (t) => {
    const place = await makeSqlitePlace();
    t.after(() => place.dispose());
    const whole = await fill(place.path);
    const db = new DatabaseSync(place.path);
    db.exec(`ALTER TABLE objects DROP COLUMN sum; ALTER TABLE changes DROP COLUMN sum;
      UPDATE meta SET value = '1' WHERE name = 'schema-version'; DELETE FROM meta WHERE name = 'objects-total'`);
    db.close();
    await copyFile(place.path, `${place.path}.old`);
    for (let turn = 0; turn < 2; turn++) {
      const store = await openSqliteStore({ path: place.path });
      assert.equal(await allOf(store), whole);
      await store.close();
    }
    const store = await openSqliteStore({ path: place.path });
    await store.transact((tx) => tx.put(instance(50, "i-50")));
    await store.close();
    const again = new DatabaseSync(place.path);
    again.exec("DELETE FROM objects WHERE kind = 'Organisation'");
    again.close();
    await assert.rejects(openSqliteStore({ path: place.path }), { message: /should have/ });
  });
});
