import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Transaction } from "@skerry/store";
import { startApi, type ApiHarness } from "../api/api-harness.ts";
import { ModelFleet } from "./model-fleet.ts";
import { create, instanceSpec, nodeFacts, seedZone } from "./zone-fixture.ts";

describe("a plan of a zone's resources", () => {
  let api: ApiHarness;
  let fleet: ModelFleet;

  before(async () => {
    let started: Promise<void> | undefined;
    api = await startApi(({ store }) => {
      fleet = new ModelFleet(store);
      started = fleet.startServer();
      return { intents: fleet.controllers.intents, freshen: (resource) => fleet.controllers.freshen(resource) };
    });
    await started;
    await seedZone(api.store, fleet.controllers.intents, fleet.clock.nowMs());
    fleet.addNodes();
    await fleet.calm();
  });
  after(async () => {
    fleet.killServer();
    await api[Symbol.asyncDispose]();
  });

  const plan = (...resources: readonly object[]) =>
    api.ask(api.admin, "POST", "/api/v1/plan", { fieldManager: "files", resources });
  const network = { kind: "Network", metadata: { name: "small", project: "shop" }, spec: { cidr: "10.30.0.0/29" } };
  const instance = (name: string, spec: object = {}) => ({
    kind: "Instance",
    metadata: { name, project: "shop" },
    spec: { ...instanceSpec, healthCheck: undefined, networks: ["small"], ...spec },
  });
  const wholeNode = { vcpus: nodeFacts.capacity.vcpus };
  /** All that a plan could leave behind. */
  const traces = () => ({
    revision: api.store.revision,
    objects: (["Network", "Instance", "Volume", "Operation"] as const).map((kind) => api.store.list(kind)),
    leased: api.store.list("Network").map((one) => fleet.controllers.freshen(one).status.leased),
  });
  const make = (tx: Transaction, name: string, spec: object = {}) =>
    create(
      tx,
      fleet.controllers.intents,
      "Instance",
      { name, project: "shop" },
      { ...instanceSpec, ...spec },
      fleet.clock.nowMs(),
    );

  test("counts addresses across its items, and says which one finds none", async () => {
    const before = traces();
    const five = ["a", "b", "c", "d", "e"].map((name) => instance(name));
    const answer = await plan(network, ...five);
    assert.equal(answer.status, 200, answer.text);
    const names = answer.each("plan", "name");
    assert.deepEqual([names[0], ["a", "b", "c", "d", "e"].every((name) => names.includes(name))], ["small", true]);
    const addresses = new Set(answer.text.match(/10\.30\.0\.\d+(?!\/|\d)/g));
    assert.deepEqual(
      [...addresses].sort(),
      [2, 3, 4, 5, 6].map((last) => `10.30.0.${last}`),
    );

    const tooMany = await plan(network, ...five, instance("f"));
    assert.deepEqual([tooMany.status, tooMany.at("code")], [422, "address-exhausted"]);
    assert.match(tooMany.textAt("detail"), /^Instance f: All 5 addresses of the network small/);
    assert.deepEqual(traces(), before);
  });

  test("counts capacity across its items, and says which one finds no node", async () => {
    const before = traces();
    const three = ["a", "b", "c"].map((name) => instance(name, wholeNode));
    const answer = await plan(network, ...three);
    assert.equal(answer.status, 200, answer.text);
    const nodes = new Set(answer.text.match(/(?<=")(mad|par|ath)-1(?=")/g));
    assert.deepEqual([...nodes].sort(), ["ath-1", "mad-1", "par-1"]);

    const tooMuch = await plan(network, ...three, instance("d"));
    assert.deepEqual([tooMuch.status, tooMuch.at("code")], [422, "no-placement"]);
    assert.match(tooMuch.textAt("detail"), /^Instance d: /);
    assert.deepEqual(traces(), before);
  });

  test("leaves all room and all addresses to what is really made then", async () => {
    await plan(network, ...["a", "b", "c"].map((name) => instance(name, wholeNode)));
    await api.store.transact((tx) => {
      for (const name of ["a", "b", "c"]) make(tx, name, wholeNode);
    });
    const made = api.store.list("Instance");
    assert.equal(new Set(made.map(({ assignment }) => assignment?.nodeId)).size, 3);
    assert.deepEqual(made.map(({ status }) => status.addresses[0]?.address ?? "").toSorted(), [
      "10.20.0.2",
      "10.20.0.3",
      "10.20.0.4",
    ]);
  });

  test("reads no more for a later resource than for an earlier one, however many came before", () => {
    const reads: number[] = [];
    api.store.rehearse((tx) => {
      for (const node of tx.list("Node"))
        tx.put({
          ...node,
          spec: { ...node.spec, capacityOverride: { vcpus: 999, memoryMiB: 99_999, diskMiB: 99_999 } },
        });
      let count = 0;
      const counting: Transaction = {
        ...tx,
        get revision() {
          return tx.revision;
        },
        get: (kind, key) => (count++, tx.get(kind, key)),
        getById: (kind, id) => (count++, tx.getById(kind, id)),
        list: (kind, project) => {
          const found = tx.list(kind, project);
          count += found.length;
          return found;
        },
      };
      for (let index = 0; index < 60; index++) {
        count = 0;
        make(counting, `many-${index}`);
        reads.push(count);
      }
    });
    // The first finds nodes that the transaction itself has changed.
    const [first = 0, second = 0, ...later] = reads;
    assert.ok(first >= second, `${first} and then ${second}`);
    assert.deepEqual(new Set(later), new Set([second]));
  });
});
