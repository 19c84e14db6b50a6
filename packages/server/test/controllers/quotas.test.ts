import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  SkerryError,
  type InstanceResource,
  type NodeDevice,
  type PriceList,
  type Quota,
  type Usage,
} from "@skerry/model";
import type { Store, Transaction } from "@skerry/store";
import type { IntentTable } from "../../src/intents.ts";
import { calmZone, useFleet } from "./fleet-suite.ts";
import type { ModelFleet } from "./model-fleet.ts";
import { checkUsage } from "./usage-count.ts";
import { act, contextAt, create, instanceSpec, nodeFacts, update } from "./zone-fixture.ts";

const devices: readonly NodeDevice[] = [
  ...["0000:01:00.0", "0000:41:00.0", "0000:81:00.0"].map((address, iommuGroup) => ({
    ...{ kind: "gpu" as const, model: "10de:20b0", address, iommuGroup },
  })),
  ...["0000:05:00.0", "0000:06:00.0"].map((address, at) => ({
    ...{ kind: "pci" as const, model: "8086:1572", address, iommuGroup: 5 + at },
  })),
];

describe("quotas of instances", () => {
  let store: Store;
  let fleet: ModelFleet;
  let intents: IntentTable;
  useFleet(
    (suite) => ({ store, fleet } = suite),
    async (suite) => {
      await calmZone()(suite);
      ({ intents } = fleet.controllers);
    },
  );

  const nowMs = () => fleet.clock.nowMs();
  const web = (name: string): InstanceResource =>
    store.get("Instance", { project: "shop", name }) ?? assert.fail("no instance");
  const make = (tx: Transaction, name: string, spec: Partial<InstanceResource["spec"]> = {}, project = "shop") =>
    create(tx, intents, "Instance", { name, project }, { ...instanceSpec, ...spec }, nowMs());
  const limit = async (kind: "Project" | "Organisation", name: string, quota: Quota) => {
    await store.transact((tx) => {
      const found = tx.get(kind, { name }) ?? assert.fail(`no ${name}`);
      update(tx, intents, found, { quota }, nowMs());
    });
  };
  const refused = async (work: (tx: Transaction) => void): Promise<SkerryError> => {
    const wishes = () => [...store.list("Instance"), ...store.list("Volume")].map(({ spec }) => spec);
    const before = wishes();
    const error = await store.transact(work).then(
      () => assert.fail("it was let through"),
      (caught: unknown) => caught,
    );
    assert.ok(error instanceof SkerryError && error.code === "quota-exceeded", String(error));
    assert.deepEqual(wishes(), before);
    return error;
  };
  const usage = (): Usage | undefined =>
    fleet.controllers.freshen(store.get("Project", { name: "shop" }) ?? assert.fail()).status.usage;
  const check = () => checkUsage(store, (resource) => fleet.controllers.freshen(resource));

  test("let all through that fits and nothing more, and say what is too much, of what, and what to do", async () => {
    await limit("Project", "shop", { vcpus: 4, instances: 9 });
    await store.transact((tx) => make(tx, "one", { vcpus: 3 }));
    const error = await refused((tx) => make(tx, "two", { vcpus: 2 }));
    assert.equal(error.message, "The project shop may have 4 vCPUs and has 3; this asks for 2 more.");
    assert.match(error.remedy ?? "", /skerry project quota shop vcpus=5$/);
    assert.deepEqual(
      error.errors?.map(({ path }) => path),
      ["/spec/vcpus"],
    );
    assert.deepEqual(error.facts, {
      exceeded: [{ kind: "Project", name: "shop", field: "vcpus", asked: 2, used: 3, limit: 4 }],
    });
    await store.transact((tx) => make(tx, "two", { vcpus: 1 }));
    assert.deepEqual(usage(), { instances: 2, vcpus: 4, memoryMiB: 192, storageMiB: 128, addresses: 2, gpus: 0 });
    check();
  });

  test("name every limit that is passed at once", async () => {
    await limit("Project", "shop", { instances: 0, vcpus: 0, memoryMiB: 95, storageMiB: 63, addresses: 0 });
    const error = await refused((tx) => make(tx, "one"));
    assert.deepEqual(
      error.errors?.map(({ path }) => path),
      ["/spec", "/spec/vcpus", "/spec/memoryMiB", "/spec/diskMiB", "/spec/networks"],
    );
  });

  test("hold in the very transaction, before anything of it is durable, and count each wish of several on those before it", async () => {
    await limit("Project", "shop", { instances: 2 });
    const wishes = ["one", "two", "three"].map((name) => store.transact((tx) => make(tx, name)));
    const outcomes = await Promise.allSettled(wishes);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["fulfilled", "fulfilled", "rejected"],
    );
    await limit("Project", "shop", { instances: 4 });
    await refused((tx) => {
      for (const name of ["four", "five", "six"]) make(tx, name);
    });
    assert.equal(usage()?.instances, 2);
    // A later part of a transaction may have amended what an earlier one made.
    await store.transact((tx) => {
      make(tx, "four");
      const last = tx.written.at(-1)?.event.object ?? assert.fail();
      tx.amend(last);
      make(tx, "five");
    });
    await refused((tx) => make(tx, "six"));
    check();
  });

  test("of an organisation hold for all its projects together, and keep its figures from who may not see it", async () => {
    await store.transact((tx) => {
      create(tx, intents, "Project", { name: "store" }, { organisation: "acme" }, nowMs());
      create(tx, intents, "Network", { name: "lan", project: "store" }, { cidr: "10.21.0.0/24" }, nowMs());
      const image = tx.get("Image", { project: "shop", name: "islet" }) ?? assert.fail();
      tx.put({ ...image, spec: { ...image.spec, shared: true } });
    });
    await limit("Organisation", "acme", { vcpus: 5 });
    await store.transact((tx) => make(tx, "one", { vcpus: 3 }));
    const there = { vcpus: 3, image: "shop/islet" };
    const error = await refused((tx) => make(tx, "one", there, "store"));
    assert.equal(error.message, "The organisation acme has no 3 vCPUs left of its quota, which this asks for.");
    assert.deepEqual(error.facts, { exceeded: [{ kind: "Organisation", name: "acme", field: "vcpus", asked: 3 }] });
    assert.doesNotMatch(JSON.stringify([error.message, error.remedy, error.errors]), /[2456789]/);
    const seeing = await refused((tx) => {
      const draft = store.get("Instance", { project: "shop", name: "one" }) ?? assert.fail();
      const metadata = { ...draft.metadata, name: "other", id: contextAt(nowMs()).makeId("ins") };
      const { assignment: _none, ...bare } = { ...draft, metadata, status: { ...draft.status, addresses: [] } };
      intents.Instance.create(tx, bare, { ...contextAt(nowMs()), sees: () => true });
    });
    assert.equal(seeing.message, "The organisation acme may have 5 vCPUs and has 3; this asks for 3 more.");
    await store.transact((tx) => make(tx, "one", { ...there, vcpus: 2 }, "store"));
    check();
  });

  test("hold for resizes and disks, and not for starts and moves, which add nothing", async () => {
    await store.transact((tx) => make(tx, "one", { vcpus: 2 }));
    await fleet.calm();
    await limit("Project", "shop", { instances: 1, vcpus: 2, memoryMiB: 96, storageMiB: 64, addresses: 1 });
    await store.transact((tx) => act(tx, intents, web("one"), "migrate", {}, nowMs()));
    check();
    await fleet.calm();
    await store.transact((tx) => act(tx, intents, web("one"), "stop", {}, nowMs()));
    await fleet.calm();
    for (const spec of [{ vcpus: 3 }, { memoryMiB: 97 }, { diskMiB: 65 }])
      await refused((tx) => update(tx, intents, web("one"), spec, nowMs()));
    await limit("Project", "shop", { instances: 1, vcpus: 2, storageMiB: 70 });
    await store.transact((tx) => update(tx, intents, web("one"), { vcpus: 1, memoryMiB: 128, diskMiB: 70 }, nowMs()));
    await fleet.calm();
    await store.transact((tx) => act(tx, intents, web("one"), "start", {}, nowMs()));
    await fleet.calm();
    assert.deepEqual(usage(), { instances: 1, vcpus: 1, memoryMiB: 128, storageMiB: 70, addresses: 1, gpus: 0 });
    check();
  });

  test("of GPUs hold for what instances have for themselves, of whatever model, and for no other devices", async () => {
    const kept = { ...nodeFacts, devices: [...devices] };
    fleet.facts = () => kept;
    await fleet.calm();
    await limit("Project", "shop", { gpus: 2 });
    const gpu = (count: number, model?: string): Partial<InstanceResource["spec"]> => ({
      devices: [{ kind: "gpu", count, ...(model === undefined ? {} : { model }) }, { kind: "pci" }],
    });
    const error = await refused((tx) => make(tx, "one", gpu(3)));
    assert.equal(error.message, "The project shop may have 2 GPUs and has 0; this asks for 3 more.");
    assert.deepEqual(
      error.errors?.map(({ path }) => path),
      ["/spec/devices"],
    );
    await store.transact((tx) => make(tx, "one", gpu(1, "10de:20b0")));
    await refused((tx) => make(tx, "two", gpu(2)));
    await store.transact((tx) => make(tx, "two", gpu(1)));
    assert.deepEqual([usage()?.gpus, usage()?.instances], [2, 2]);
    await fleet.calm();
    // A move takes others, and no more.
    await store.transact((tx) => act(tx, intents, web("one"), "migrate", {}, nowMs()));
    check();
    await fleet.calm();
    assert.equal(usage()?.gpus, 2);
    check();
  });

  test("lowered below what is there refuse growth alone", async () => {
    await store.transact((tx) => (make(tx, "one", { vcpus: 3, power: "stopped" }), make(tx, "two", { vcpus: 2 })));
    await fleet.calm();
    await limit("Project", "shop", { vcpus: 1 });
    await refused((tx) => make(tx, "three"));
    await store.transact((tx) => update(tx, intents, web("one"), { vcpus: 2, memoryMiB: 200 }, nowMs()));
    await fleet.calm();
    await refused((tx) => update(tx, intents, web("one"), { vcpus: 3 }, nowMs()));
    await store.transact((tx) => act(tx, intents, web("two"), "stop", {}, nowMs()));
    check();
  });

  describe("of spend", () => {
    const hour = { vcpuHour: "0.01", memoryGiBHour: "0.01", storageGiBMonth: "0.1", addressHour: "0.001" };
    const price = async (prices: readonly PriceList[]) => {
      await store.transact((tx) => {
        for (const site of tx.list("Site")) tx.put({ ...site, spec: { ...site.spec, prices: [...prices] } });
      });
    };
    const spend = () => fleet.controllers.freshen(store.get("Project", { name: "shop" }) ?? assert.fail()).status.spend;
    const eur = (perMonth: string): Quota => ({ spend: { currency: "EUR", perMonth } });

    test("are held against what the month will have cost, and its next one, in the transaction itself", async () => {
      await price([{ from: "2026-01", currency: "EUR", ...hour }]);
      await limit("Project", "shop", eur("1000000"));
      await store.transact((tx) => make(tx, "one", { vcpus: 2 }));
      const { thisMonth = "", nextMonth = "", currency } = spend() ?? {};
      assert.equal(currency, "EUR");
      // 28 days of two vCPUs, 96 MiB and an address, and a disk of 64 MiB for February.
      const hours = 28 * 24;
      const plainSum = hours * (0.02 + (0.01 * 96) / 1024 + 0.001) + (0.1 * 64) / 1024;
      assert.ok(Math.abs(Number(nextMonth) - plainSum) < 1e-5, `${nextMonth} for ${plainSum}`);
      assert.ok(Number(thisMonth) > Number(nextMonth), "January has 31 days, and has just begun");
      await limit("Project", "shop", eur(String(Number(thisMonth) * 2 - 0.01)));
      const error = await refused((tx) => make(tx, "two", { vcpus: 2 }));
      assert.match(
        error.message,
        /^The project shop may spend 32\.\d+ EUR a month and comes to 16\.\d+ this month; this asks for 16\.\d+ more\.$/,
      );
      assert.match(error.remedy ?? "", /skerry project quota shop spend=32\.\d+EUR$/);
      await limit("Project", "shop", eur(String(Number(thisMonth) * 2 + 0.01)));
      await store.transact((tx) => make(tx, "two", { vcpus: 2 }));
      assert.ok(Math.abs(Number(spend()?.thisMonth) - 2 * Number(thisMonth)) < 1e-3, spend()?.thisMonth);
      await refused((tx) => make(tx, "three"));
    });

    test("do not let a month's last day commit to what the next one may not cost", async () => {
      await price([{ from: "2026-01", currency: "EUR", ...hour }]);
      const lateMs = Date.parse("2026-01-31T23:00:00Z");
      await limit("Project", "shop", eur("5"));
      const error = await refused((tx) =>
        create(tx, intents, "Instance", { name: "one", project: "shop" }, { ...instanceSpec, vcpus: 2 }, lateMs),
      );
      assert.match(
        error.message,
        /may spend 5\.00 EUR a month and comes to 0\.00 next month; this asks for 14\.\d+ more/,
      );
    });

    test("count nothing that has no price, and let nothing grow that is priced in another currency", async () => {
      await limit("Project", "shop", eur("0"));
      await store.transact((tx) => make(tx, "one"));
      assert.equal(spend()?.thisMonth, "0.000000");
      await price([{ from: "2026-01", currency: "USD", ...hour }]);
      const error = await refused((tx) => make(tx, "two"));
      assert.match(error.message, /may spend EUR only, and this would be at a site with prices in another currency/);
      await price([{ from: "2027-01", currency: "EUR", ...hour }]);
      await store.transact((tx) => make(tx, "two"));
    });

    test("of an organisation hold over all its projects, and keep its figures from who may not see it", async () => {
      await price([{ from: "2026-01", currency: "EUR", ...hour }]);
      await store.transact((tx) => {
        create(tx, intents, "Project", { name: "store" }, { organisation: "acme" }, nowMs());
        create(tx, intents, "Network", { name: "lan", project: "store" }, { cidr: "10.21.0.0/24" }, nowMs());
        const image = tx.get("Image", { project: "shop", name: "islet" }) ?? assert.fail();
        tx.put({ ...image, spec: { ...image.spec, shared: true } });
      });
      await limit("Organisation", "acme", eur("20"));
      await store.transact((tx) => make(tx, "one", { vcpus: 2 }));
      const error = await refused((tx) => make(tx, "one", { vcpus: 2, image: "shop/islet" }, "store"));
      assert.match(error.message, /^The organisation acme has no 16\.\d+ EUR left this month of what it may spend/);
      assert.doesNotMatch(JSON.stringify([error.message, error.remedy, error.facts]), /20|limit/);
      await limit("Organisation", "acme", eur("40"));
      await store.transact((tx) => make(tx, "one", { vcpus: 2, image: "shop/islet" }, "store"));
    });

    test("let pass what makes a month cheaper, also above the limit", async () => {
      await price([{ from: "2026-01", currency: "EUR", ...hour }]);
      await store.transact((tx) => make(tx, "one", { vcpus: 3, power: "stopped" }));
      await fleet.calm();
      await limit("Project", "shop", eur("1"));
      await store.transact((tx) => update(tx, intents, web("one"), { vcpus: 2 }, nowMs()));
      await fleet.calm();
      await refused((tx) => update(tx, intents, web("one"), { vcpus: 3 }, nowMs()));
    });
  });

  test("are given back when the node no longer has anything of an instance, not when it is asked to go", async () => {
    await limit("Project", "shop", { instances: 1 });
    await store.transact((tx) => make(tx, "one"));
    await fleet.calm();
    await store.transact((tx) => intents.Instance.remove(tx, web("one"), contextAt(nowMs())));
    await refused((tx) => make(tx, "two"));
    assert.equal(usage()?.instances, 1);
    await fleet.calm();
    assert.deepEqual(usage(), { instances: 0, vcpus: 0, memoryMiB: 0, storageMiB: 0, addresses: 0, gpus: 0 });
    await store.transact((tx) => make(tx, "two"));
    check();
  });
});
