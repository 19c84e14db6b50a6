import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SkerryError, type InstanceResource } from "@skerry/model";
import type { Store } from "@skerry/store";
import { calmZone, useFleet } from "./fleet-suite.ts";
import type { ModelFleet } from "./model-fleet.ts";
import { act, create, instanceSpec, update } from "./zone-fixture.ts";

/* A refusal that names a command: the command is carried out as it stands, and then what was refused is done. */
describe("the way out of a refused change", () => {
  let store: Store;
  let fleet: ModelFleet;

  useFleet((suite) => ({ store, fleet } = suite), calmZone());

  const web = () => store.get("Instance", { project: "shop", name: "web" }) ?? assert.fail("no instance");
  const intents = () => fleet.controllers.intents;
  const started = async (spec: Partial<InstanceResource["spec"]> = {}) => {
    const whole = { ...instanceSpec, ...spec };
    const key = { name: "web", project: "shop" };
    await store.transact((tx) => create(tx, intents(), "Instance", key, whole, fleet.clock.nowMs()));
    await fleet.calm();
  };
  const changes = async (spec: Partial<InstanceResource["spec"]>) => {
    await store.transact((tx) => update(tx, intents(), web(), spec, fleet.clock.nowMs()));
    await fleet.calm();
  };
  const acts = async (action: string, input: Readonly<Record<string, unknown>> = {}) => {
    await store.transact((tx) => act(tx, intents(), web(), action, input, fleet.clock.nowMs()));
    await fleet.calm();
  };
  const remedyOf = async (spec: Partial<InstanceResource["spec"]>): Promise<string> => {
    const error: unknown = await changes(spec).then(
      () => assert.fail("it was not refused"),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof SkerryError, String(error));
    assert.equal(error.code, "conflict");
    return error.remedy ?? "";
  };
  const migrates = async (remedy: string) => {
    const [, toNode] = /skerry instance migrate web --project shop --to-node ([a-z0-9-]+)/.exec(remedy) ?? [];
    assert.ok(toNode !== undefined, remedy);
    await acts("migrate", { toNode });
    assert.equal(web().assignment?.node, toNode);
  };

  test("leads to a node with room where its own has none for the new size", async () => {
    await started();
    await acts("stop");
    const { nodeId = "" } = web().assignment ?? {};
    const node = store.getById("Node", nodeId) ?? assert.fail("no node");
    const capacityOverride = { vcpus: 2, memoryMiB: 512, diskMiB: 1000 };
    await store.transact((tx) => tx.put({ ...node, spec: { ...node.spec, capacityOverride } }));
    assert.match(await remedyOf({ memoryMiB: 100_000 }), /^Ask for less: no other node/);
    await assert.rejects(changes({ vcpus: 100 }), /has no room for that: 100 vCPU asked, 2 vCPU free\./);
    await migrates(await remedyOf({ memoryMiB: 1024 }));
    await changes({ memoryMiB: 1024 });
    assert.equal(web().spec.memoryMiB, 1024);
  });

  test("leads to where a new placement allows it, straight where the present one does too", async () => {
    await started();
    const country = web().assignment?.node === "ath-1" ? "ES" : "GR";
    const remedy = await remedyOf({ placement: { countries: [country] } });
    assert.match(remedy, /^Move it first/);
    await migrates(remedy);
    await changes({ placement: { countries: [country] } });
  });

  test("leads there by allowing both where the present placement forbids it, and says where nothing would help", async () => {
    await started({ placement: { countries: ["ES"] } });
    assert.match(await remedyOf({ placement: { countries: ["PL"] } }), /^No node fits the new placement/);
    const remedy = await remedyOf({ placement: { countries: ["GR"] } });
    assert.match(remedy, /Allow both first \(skerry apply -f FILE\)/);
    await changes({ placement: { countries: ["ES", "GR"] } });
    await migrates(remedy);
    await changes({ placement: { countries: ["GR"] } });
  });
});
