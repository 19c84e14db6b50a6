import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { Readable } from "node:stream";
import { test, type TestContext } from "node:test";
import { crc32 } from "node:zlib";
import { makeId, type NetworkResource, type SkerryError } from "@skerry/model";
import { makeBackup, readBackup, type Store } from "@skerry/store";
import { follow } from "../contract/feed-contract.ts";
import { organisation } from "../contract/samples.ts";
import { makeSqlitePlace } from "./place.ts";

const key = { project: "shop", name: "lan" };

/** A network in its current form. */
function network(): NetworkResource {
  const at = "2026-01-01T00:00:00.000Z";
  const id = makeId("net", 0, new Uint8Array(10));
  const metadata = { ...key, id, revision: 0, generation: 1, labels: {}, createdAt: at, updatedAt: at };
  return { kind: "Network", metadata, spec: { cidr: "10.0.0.0/24" }, status: { conditions: [] } };
}

/** A store whose one network was written by version 1 of its kind, with the sums that it had then. */
async function oldStore(t: TestContext) {
  const place = await makeSqlitePlace();
  const store = await place.open();
  await store.transact((tx) => tx.put(network()));
  await store.close();
  const opened: Store[] = [];
  t.after(async () => {
    await Promise.all(opened.map((one) => one.close()));
    await place.dispose();
  });
  const { schemaVersion: _none, ...metadata } = { ...network().metadata, revision: 1, schemaVersion: 2 };
  const body = JSON.stringify({
    ...network(),
    metadata,
    status: { conditions: [], leases: [{ address: "10.0.0.2" }] },
  });
  const rewrite = (text: string): void => {
    const db = new DatabaseSync(place.path);
    const row = { kind: "Network", id: metadata.id, project: key.project, name: key.name, revision: 1 };
    const sum = crc32([...Object.values(row), text].map(String).join("\0"));
    for (const name of ["objects", "changes"]) db.prepare(`UPDATE ${name} SET body = ?, sum = ?`).run(text, sum);
    db.exec("DELETE FROM meta WHERE name = 'objects-total'");
    db.close();
  };
  rewrite(body);
  const stored = (): { metadata: { schemaVersion?: number }; status: object } => {
    const db = new DatabaseSync(place.path, { readOnly: true });
    const row = db.prepare("SELECT body FROM objects").get();
    db.close();
    return JSON.parse(String(row?.["body"])) as ReturnType<typeof stored>;
  };
  const open = async (): Promise<Store> => {
    const one = await place.open();
    opened.push(one);
    return one;
  };
  return { open, stored, rewrite, body };
}

test("an object of an older form is read in today's form everywhere, and written in it when it next changes", async (t) => {
  const { open, stored } = await oldStore(t);
  const store = await open();
  const found = store.get("Network", key);
  assert.ok(found !== undefined);
  const expected = { ...network(), metadata: { ...network().metadata, revision: 1, schemaVersion: 2 } };
  assert.deepEqual(found, expected);
  assert.deepEqual(store.list("Network"), [expected]);
  assert.deepEqual([...store.scan("Network")], [expected]);
  const document = store.documents.document("Network", key);
  assert.deepEqual(JSON.parse(Buffer.from(document?.json ?? []).toString()), expected);
  const [event] = await follow(store, 0, 1);
  assert.deepEqual([event?.object, JSON.parse(event?.json ?? "")], [expected, expected]);
  const lines = (await Array.fromAsync(makeBackup(store, 0, new AbortController().signal)))
    .join("")
    .trimEnd()
    .split("\n");
  const backup = await readBackup(Readable.from(lines));
  assert.deepEqual(backup.objects, [expected]);
  await store.transact((tx) => tx.put({ ...found, metadata: { ...found.metadata, labels: { seen: "yes" } } }));
  await store.close();
  assert.deepEqual([stored().metadata.schemaVersion, stored().status], [2, { conditions: [] }]);
});

test("opening alone writes nothing, so that the version before can still open it", async (t) => {
  const { open, stored } = await oldStore(t);
  await (await open()).close();
  assert.equal(stored().metadata.schemaVersion, undefined);
  assert.ok("leases" in stored().status);
});

test("a store with an object of a newer form is refused by name, and nothing says to delete it", async (t) => {
  const { open, rewrite, body } = await oldStore(t);
  rewrite(body.replace('"revision":1', '"revision":1,"schemaVersion":9'));
  await assert.rejects(open(), (error: SkerryError) => {
    assert.equal(error.code, "unavailable");
    assert.match(error.message, /A newer Skerry wrote the Network lan/);
    assert.doesNotMatch(error.remedy ?? "", /DELETE/);
    return true;
  });
});

test("what is written says in which form it is, where its kind ever had another", async (t) => {
  const place = await makeSqlitePlace();
  const store = await place.open();
  t.after(async () => {
    await store.close();
    await place.dispose();
  });
  const { result } = await store.transact((tx) => [tx.put(network()), tx.put(organisation(1, "acme"))]);
  assert.deepEqual(
    result.map(({ metadata }) => metadata.schemaVersion),
    [2, undefined],
  );
});
