import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { InstanceResource } from "@skerry/model";
import { openPostgresStore, type ReplicatedStore } from "@skerry/store";
import { startPostgres, type PrivatePostgres } from "@skerry/testkit";
import { UsageBook } from "../../src/controllers/quotas/usage-book.ts";
import { draft } from "../api/api-harness.ts";
import { countedOfOrganisation, countedUsage } from "../controllers/usage-count.ts";

const pace = { pollMs: 10, renewMs: 100, takeOverMs: 1000 };

/** Resolves when the store leads. */
function leads(store: ReplicatedStore): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (store.role.kind !== "leader") return;
      stop();
      resolve();
    };
    const stop = store.onRole(look);
    look();
  });
}

let postgres: PrivatePostgres;
before(async () => {
  postgres = await startPostgres();
});
after(() => postgres[Symbol.asyncDispose]());

test("what projects have is right on a replica that follows, and once it leads", async (t) => {
  const url = await postgres.makeDatabase();
  const open = () => openPostgresStore({ url, replicaUrl: "https://replica.test", family: "one", pace });
  const first = await open();
  await leads(first);
  const makeInstance = (store: ReplicatedStore, name: string, vcpus: number) =>
    store.transact((tx) => {
      const addresses = [{ network: "lan", address: "10.0.0.2", mac: "02:54:00:00:00:01" }];
      const status: InstanceResource["status"] = { state: "running", health: "unknown", addresses, conditions: [] };
      const spec = { vcpus, memoryMiB: 64, image: "islet", networks: ["lan"] };
      tx.put(draft("Instance", { project: "shop", name }, spec, status));
      tx.put(draft("Volume", { project: "shop", name }, { sizeMiB: 8 }, { state: "ready", conditions: [] }));
    });
  await first.transact((tx) => {
    tx.put(draft("Organisation", { name: "acme" }, {}, {}));
    tx.put(draft("Project", { name: "shop" }, { organisation: "acme" }, {}));
  });
  await makeInstance(first, "one", 2);
  const second = await open();
  t.after(() => second.close());
  const book = new UsageBook(second);
  const check = (vcpus: number) => {
    const used = book.in(second);
    assert.equal(used.ofProject("shop").vcpus, vcpus);
    assert.deepEqual(
      used.ofProject("shop"),
      countedUsage(second, () => true),
    );
    assert.deepEqual(used.ofOrganisation("acme"), countedOfOrganisation(second, "acme"));
  };
  check(2);
  const { revision } = await makeInstance(first, "two", 3);
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (second.revision >= revision) resolve();
    };
    second.subscribe(look);
    look();
  });
  check(5);
  await first.close();
  await leads(second);
  check(5);
  await makeInstance(second, "three", 1);
  check(6);
  await second.transact((tx) => {
    const one = tx.get("Instance", { project: "shop", name: "one" }) ?? assert.fail();
    tx.delete("Instance", one.metadata.id);
  });
  check(4);
});
