import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import type { KindName, ResourceOf } from "@skerry/model";
import { openSqliteStore } from "@skerry/store";

const kept = join(import.meta.dirname, "../../cli/test/releases");
const releases = globSync(join(kept, "v*")).toSorted();

for (const release of releases) {
  test(`the database of release ${basename(release)} holds every object that it held, and takes changes`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "skerry-release-"));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const argv = ["--extract", "--no-same-owner", "--file", join(release, "server.tar.gz"), "server/state.db"];
    execFileSync("tar", argv, { cwd: folder });
    const json = gunzipSync(readFileSync(join(release, "objects.json.gz"))).toString();
    const then = JSON.parse(json) as readonly ResourceOf<KindName>[];
    assert.ok(then.length > 20);
    const path = join(folder, "server/state.db");
    const store = await openSqliteStore({ path });
    const kindsThen = new Set(then.map(({ kind }) => kind));
    const count = [...kindsThen].reduce((sum, kind) => sum + store.list(kind).length, 0);
    assert.equal(count, then.length);
    for (const { kind, metadata } of then) {
      const found = store.getById(kind, metadata.id);
      assert.equal(found?.metadata.name, metadata.name, `${kind} ${metadata.name}`);
      if (found !== undefined) await store.transact((tx) => tx.put(found));
    }
    await store.close();
    const again = await openSqliteStore({ path });
    t.after(() => again.close());
    for (const { kind, metadata } of then) assert.ok(again.getById(kind, metadata.id) !== undefined, metadata.name);
  });
}

test("there is a release to open", () => assert.ok(releases.length > 0));
