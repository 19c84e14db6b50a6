import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ApiTokenResource } from "@skerry/model";
import { RightsIndex } from "../../src/authorisation/rights-index.ts";
import { draft } from "../api/api-harness.ts";
import { openScratchStore } from "../fakes/scratch-store.ts";

describe("what is remembered of rights", () => {
  const token = (name: string): ApiTokenResource => draft("ApiToken", { name }, { role: "viewer" }, {});

  test("goes with the token that it was of, and with any change of rights", async () => {
    await using scratch = await openScratchStore(() => 0);
    const { store } = scratch;
    const rights = new RightsIndex(store);
    const [one, two] = [token("one"), token("two")];
    await store.transact((tx) => [one, two].map((each) => tx.put(each)));
    for (const each of [one, two, one]) assert.equal(rights.of(each)?.allow("read", "Site", {}), true);
    assert.equal(rights.remembered, 2);
    await store.transact((tx) => tx.delete("ApiToken", one.metadata.id));
    assert.equal(rights.remembered, 1);
    await store.transact((tx) => tx.put(draft("Group", { name: "crew" }, { members: [] }, {})));
    assert.equal(rights.remembered, 0);
    rights.close();
  });

  test("is of so many tokens at most, those that asked longest ago forgotten first, and answers as before", async () => {
    await using scratch = await openScratchStore(() => 0);
    const rights = new RightsIndex(scratch.store, 100);
    const busy = token("busy");
    const known = rights.of(busy);
    for (let count = 0; count < 1000; count++) {
      const other = rights.of(token(`t-${count}`));
      assert.deepEqual([other?.allow("read", "Site", {}), other?.allow("put", "Site", {})], [true, false]);
      assert.equal(rights.of(busy), known, `forgotten after ${count}`);
      assert.ok(rights.remembered <= 100, String(rights.remembered));
    }
    rights.close();
  });
});
