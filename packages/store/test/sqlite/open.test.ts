import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { crc32 } from "node:zlib";
import { SkerryError } from "@skerry/model";
import { openSqliteStore } from "@skerry/store";
import type { Store } from "@skerry/store";
import { instance } from "../contract/samples.ts";
import { makeSqlitePlace } from "./place.ts";

interface StoreFile {
  readonly path: string;
  /** Opens it; the test's end closes it. */
  readonly open: () => Promise<Store>;
}

/** A closed store of three instances. */
async function makeFile(t: TestContext): Promise<StoreFile> {
  const place = await makeSqlitePlace();
  const opened: Store[] = [];
  t.after(async () => {
    for (const store of opened) await store.close();
    await place.dispose();
  });
  const open = async (): Promise<Store> => {
    const store = await place.open();
    opened.push(store);
    return store;
  };
  const store = await open();
  for (const serial of [1, 2, 3]) await store.transact((tx) => tx.put(instance(serial, `i-${serial}`)));
  await store.close();
  return { path: place.path, open };
}

function change(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
}

/** A change by someone who keeps the sums right, so that only what is read tells that it is wrong. */
function rewrite(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  db.function("sum_of", { varargs: true }, (...columns) =>
    crc32(columns.map((column) => (column === null ? "" : column.toString())).join("\0")),
  );
  db.exec(`${sql}; UPDATE objects SET sum = sum_of(kind, id, project, name, revision, body);
    DELETE FROM meta WHERE name = 'objects-total'`);
  db.close();
}

async function refusal(path: string): Promise<SkerryError> {
  try {
    const store = await openSqliteStore({ path });
    await store.close();
  } catch (error) {
    assert.ok(error instanceof SkerryError, String(error));
    assert.equal(error.code, "unavailable");
    assert.ok(error.remedy !== undefined);
    return error;
  }
  throw new Error("it opened");
}

const second = instance(2, "").metadata.id;

describe("opening the SQLite store", () => {
  test("a store that another process has open is refused with that process's id, until that process is gone", async (t) => {
    const { path, open } = await makeFile(t);
    const holder = spawn(process.execPath, [join(import.meta.dirname, "hold-child.ts"), path], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    t.after(() => holder.kill("SIGKILL"));
    const exited = once(holder, "exit");
    await once(createInterface(holder.stdout), "line");
    const error = await refusal(path);
    assert.match(error.message, new RegExp(`is open in process ${holder.pid},`));
    assert.deepEqual(error.facts, { pid: holder.pid });
    // Killed, it leaves its files behind, but no lock.
    holder.kill("SIGKILL");
    await exited;
    const store = await open();
    assert.match((await refusal(path)).message, new RegExp(`this process \\(pid ${process.pid}\\)`));
    assert.equal((await store.transact((tx) => tx.put(instance(4, "still-works")))).revision, 4);
  });

  test("a body that is no JSON is refused, the row named and the way out one that works", async (t) => {
    const { path, open } = await makeFile(t);
    change(path, `UPDATE objects SET body = '{"kind":' WHERE id = '${second}'`);
    const error = await refusal(path);
    assert.match(error.message, new RegExp(`damaged row in objects \\(kind = 'Instance' AND id = '${second}'\\)`));
    const sql = /"(DELETE .*)"/.exec(error.remedy ?? "")?.[1];
    assert.ok(sql !== undefined);
    change(path, sql);
    const store = await open();
    assert.equal(store.list("Instance").length, 2);
  });

  for (const [what, sql, message] of [
    ["an unknown kind", `UPDATE objects SET kind = 'Insect' WHERE id = '${second}'`, /there is no kind "Insect"/],
    ["a body without metadata", `UPDATE objects SET body = '{"kind":"Instance"}' WHERE id = '${second}'`, /metadata/],
    [
      "a body of another object",
      `UPDATE objects SET name = 'x' WHERE id = '${second}'`,
      /its body is Instance .* default\/i-2/,
    ],
    [
      "a body of another revision",
      `UPDATE objects SET revision = 1 WHERE id = '${second}'`,
      /its body has revision 2, its row 1/,
    ],
    [
      "a name held twice",
      `UPDATE objects SET name = 'i-1', body = REPLACE(body, '"i-2"', '"i-1"') WHERE id = '${second}'`,
      /has its name i-1 too/,
    ],
    ["an object newer than the log", "DELETE FROM changes WHERE revision = 3", /newer than the log, which ends at 2/],
  ] as const) {
    test(`${what} is refused, and the row named`, async (t) => {
      const { path } = await makeFile(t);
      rewrite(path, sql);
      // Without it, so that the rows themselves are looked at.
      await rm(`${path}.seen`);
      const error = await refusal(path);
      assert.match(error.message, message);
      assert.match(error.message, /damaged row in objects/);
    });
  }

  test("a damaged row of the log is refused when a consumer reaches it", async (t) => {
    const { path, open } = await makeFile(t);
    change(path, "UPDATE changes SET body = 'x' WHERE revision = 2");
    const store = await open();
    const read = async (): Promise<void> => {
      for await (const event of store.changes(0, AbortSignal.timeout(20_000))) assert.ok(event.revision < 2);
    };
    await assert.rejects(read(), /damaged row in changes \(revision = 2\)/);
  });

  test("a store of a newer version, a file that is no store, and a missing folder are refused", async (t) => {
    const { path } = await makeFile(t);
    change(path, "UPDATE meta SET value = '4' WHERE name = 'schema-version'");
    assert.match((await refusal(path)).message, /newer Skerry \(schema version 4/);
    const text = join(dirname(path), "text.db");
    await writeFile(text, "a shopping list, long enough to be taken for a header\n".repeat(100));
    assert.match((await refusal(text)).message, /damaged or no Skerry store/);
    assert.match((await refusal(join(dirname(path), "none", "x.db"))).message, /cannot be used: ENOENT/);
  });

  test("its files are for its owner's eyes only", async (t) => {
    const { path, open } = await makeFile(t);
    const store = await open();
    await store.transact((tx) => tx.put(instance(4, "a")));
    for (const suffix of ["", "-wal", ".owner", ".seen"]) {
      assert.equal((await stat(path + suffix)).mode & 0o777, 0o600, suffix);
    }
  });
});
