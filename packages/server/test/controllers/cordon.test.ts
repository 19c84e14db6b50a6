import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SkerryError, type InstanceResource } from "@skerry/model";
import type { Store } from "@skerry/store";
import { calmZone, useFleet } from "./fleet-suite.ts";
import type { ModelFleet } from "./model-fleet.ts";
import { act, create, instanceSpec, update } from "./zone-fixture.ts";

describe("a cordon", () => {
  let store: Store;
  let fleet: ModelFleet;
  useFleet((suite) => ({ store, fleet } = suite), calmZone());

  const nowMs = () => fleet.clock.nowMs();
  const set = (kind: "Node" | "Site" | "Provider", name: string, schedulable: boolean) =>
    store.transact((tx) => {
      const found = tx.get(kind, { name }) ?? assert.fail(`no ${kind} ${name}`);
      return update(tx, fleet.controllers.intents, found, { schedulable }, nowMs());
    });
  const make = (name: string) =>
    store.transact((tx) =>
      create(tx, fleet.controllers.intents, "Instance", { name, project: "shop" }, instanceSpec, nowMs()),
    );
  const nodeOf = (name: string): string | undefined =>
    store.get("Instance", { name, project: "shop" })?.assignment?.node;
  const refusalOf = async (asked: () => Promise<unknown>): Promise<SkerryError> => {
    const error: unknown = await asked().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    return error instanceof SkerryError ? error : assert.fail(`not refused: ${String(error)}`);
  };

  test("of a node, a site and a provider keeps out what is new, says so, and goes again", async () => {
    await set("Node", "mad-1", false);
    await set("Site", "paris", false);
    await make("one");
    assert.equal(nodeOf("one"), "ath-1");
    await set("Provider", "hellas", false);
    const refused = await refusalOf(() => make("two"));
    assert.equal(refused.code, "no-placement");
    assert.match(refused.message, /3 of 3 nodes are cordoned/);
    assert.match(refused.remedy ?? "", /uncordon mad-1 or provider hellas or site paris \(opens 3\)/);
    await set("Site", "paris", true);
    await make("two");
    assert.equal(nodeOf("two"), "par-1");
    await set("Node", "mad-1", true);
    await set("Provider", "hellas", true);
  });

  test("holds for moves, also to a node by its name, and leaves what is there running", async () => {
    await make("three");
    await fleet.calm();
    const from = nodeOf("three") ?? "";
    await set("Node", from, false);
    await fleet.calm();
    assert.equal(store.get("Instance", { name: "three", project: "shop" })?.status.state, "running");
    const [other = "", another = ""] = ["mad-1", "par-1", "ath-1"].filter((name) => name !== from);
    await set("Node", other, false);
    const move = (input: object) =>
      store.transact((tx) => {
        const found = tx.get("Instance", { name: "three", project: "shop" }) as InstanceResource;
        return act(tx, fleet.controllers.intents, found, "migrate", { ...input }, nowMs());
      });
    assert.match((await refusalOf(() => move({ toNode: other }))).message, /1 of 1 node is cordoned/);
    await move({});
    assert.equal(store.get("Instance", { name: "three", project: "shop" })?.assignment?.movingTo?.node, another);
  });
});
