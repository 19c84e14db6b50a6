import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { makeBackup, readBackup, restorePostgres, type BackupContent } from "@skerry/store";
import { startPostgres, type PrivatePostgres } from "@skerry/testkit";
import { organisation } from "../../contract/samples.ts";
import { openReplica, roleOf } from "./place.ts";

describe("a backup restored into PostgreSQL", () => {
  let postgres: PrivatePostgres;
  let content: BackupContent;
  before(async () => {
    postgres = await startPostgres();
    const store = await openReplica(await postgres.makeDatabase());
    await roleOf(store, "leader");
    for (let serial = 0; serial < 1200; serial++)
      void store.transact((tx) => tx.put(organisation(serial, `o-${serial}`)));
    await store.transact((tx) => tx.put(organisation(1200, "last")));
    const parts = await Array.fromAsync(makeBackup(store, 0, new AbortController().signal));
    content = await readBackup(linesOf(parts.join("")));
    await store.close();
  });
  after(() => postgres[Symbol.asyncDispose]());

  test("is the same zone, which a replica of its family opens and leads", async (t) => {
    const url = await postgres.makeDatabase();
    const revision = await restorePostgres({ url, family: "one" }, content, Date.now());
    const store = await openReplica(url);
    t.after(() => store.close());
    await roleOf(store, "leader");
    assert.equal(store.zoneId, content.head.zoneId);
    assert.equal(store.list("Organisation").length, 1201);
    assert.equal((await store.transact((tx) => tx.put(organisation(2000, "new")))).revision, revision + 1);
    await assert.rejects(restorePostgres({ url, family: "one" }, content, Date.now()), { code: "already-exists" });
  });

  test("that was cut short is opened by no one, and says how to begin anew", async () => {
    const url = await postgres.makeDatabase();
    // PostgreSQL takes no such name, and so the second batch fails.
    const torn = { ...content, objects: [...content.objects.slice(0, 800), organisation(3000, "\0")] };
    await assert.rejects(restorePostgres({ url, family: "one" }, torn, Date.now()));
    await assert.rejects(openReplica(url), { code: "unavailable", message: /cut short/ });
  });
});

async function* linesOf(text: string): AsyncGenerator<string> {
  yield* text.trimEnd().split("\n");
}
