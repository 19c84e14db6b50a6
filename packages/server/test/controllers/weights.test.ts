import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { InstanceResource } from "@skerry/model";
import type { Store } from "@skerry/store";
import { calmZone, useFleet } from "./fleet-suite.ts";
import type { ModelFleet } from "./model-fleet.ts";
import { create, instanceSpec } from "./zone-fixture.ts";

describe("instances that weigh what makes a node better", () => {
  let store: Store;
  let fleet: ModelFleet;
  useFleet(
    (suite) => ({ store, fleet } = suite),
    (suite) => calmZone()(suite),
  );

  test("go where it is least, and by name where they weigh nothing", async () => {
    const whereTo = async (name: string, placement: InstanceResource["spec"]["placement"]) => {
      await store.transact((tx) => {
        const spec = { ...instanceSpec, ...(placement && { placement }) };
        create(tx, fleet.controllers.intents, "Instance", { name, project: "shop" }, spec, fleet.clock.nowMs());
      });
      return store.get("Instance", { project: "shop", name })?.assignment?.node;
    };
    const maxLatency = [{ from: "Paris", milliseconds: 200 }];
    assert.equal(await whereTo("near", { maxLatency, weights: { latency: 1 } }), "par-1");
    assert.equal(await whereTo("anywhere", { maxLatency }), "ath-1");
  });
});
