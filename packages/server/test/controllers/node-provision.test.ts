import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SkerryError, type OperationResource } from "@skerry/model";
import { parseJoinToken } from "@skerry/protocol";
import type { Store } from "@skerry/store";
import {
  provisioningStepNames,
  type HostProvisioner,
  type HostToProvision,
} from "../../src/operations/host-provisioner.ts";
import { isOver } from "../../src/operations/transitions.ts";
import { useFleet } from "./fleet-suite.ts";
import type { ModelFleet } from "./model-fleet.ts";
import { act, create } from "./zone-fixture.ts";

describe("provisioning a node", () => {
  let store: Store;
  let fleet: ModelFleet;
  let hosts: HostToProvision[];
  let done: string[];
  let tokens: string[];
  /** What a step of that name does besides being recorded. */
  let deeds: Partial<
    Record<(typeof provisioningStepNames)[number], (host: HostToProvision, signal: AbortSignal) => Promise<unknown>>
  >;

  const provisioner: HostProvisioner = {
    steps(host) {
      hosts.push(host);
      return provisioningStepNames.map((name) => ({
        name,
        async run(report, signal) {
          report(`doing ${name}`, 1, 2);
          await deeds[name]?.(host, signal);
          done.push(name);
        },
      }));
    },
  };

  const begin = async () => {
    fleet.provisioner = provisioner;
    [hosts, done, tokens] = [[], [], []];
    deeds = {
      async enrol(host, signal) {
        tokens.push(await host.mintJoinToken(signal));
        // The agent joins by itself, whatever the operation waits for.
        void store.transact((tx) => {
          const node = tx.get("Node", { name: host.nodeName });
          if (node !== undefined) tx.put({ ...node, status: { ...node.status, publicKey: "its own" } });
        });
      },
    };
    await fleet.startServer();
    const nowMs = fleet.clock.nowMs();
    const { intents } = fleet.controllers;
    await store.transact((tx) => {
      const ssh = { user: "admin", privateKey: "the key", port: 2222 };
      create(tx, intents, "Provider", { name: "metal" }, { driver: "ssh", country: "ES", ssh }, nowMs);
      create(
        tx,
        intents,
        "Site",
        { name: "bilbao" },
        { provider: "metal", country: "ES", latitude: 43, longitude: -3, tier: "near-edge" },
        nowMs,
      );
      const spec = { site: "bilbao", address: "192.0.2.7", hostKeyFingerprint: `SHA256:${"a".repeat(43)}` };
      create(tx, intents, "Node", { name: "bil-1" }, spec, nowMs);
    });
    fleet.addNodes();
  };
  useFleet((suite) => ({ store, fleet } = suite), begin);

  async function provision(): Promise<OperationResource> {
    const node = store.get("Node", { name: "bil-1" }) ?? assert.fail("no node");
    const { intents } = fleet.controllers;
    const { result } = await store.transact((tx) => act(tx, intents, node, "provision", {}, fleet.clock.nowMs()));
    await fleet.settle();
    return result.operation ?? assert.fail("no operation");
  }

  async function ended({ metadata }: OperationResource): Promise<OperationResource> {
    for (;;) {
      const operation = store.getById("Operation", metadata.id) ?? assert.fail("no operation");
      if (isOver(operation.status.state)) return operation;
      await fleet.tick(1000);
    }
  }

  test("runs the host's steps in order with the provider's access, then waits for the agent's first report", async () => {
    const operation = await provision();
    assert.deepEqual(done, [...provisioningStepNames]);
    const [host] = hosts;
    assert.deepEqual(
      [host?.address, host?.port, host?.user, host?.privateKey],
      ["192.0.2.7", 2222, "admin", "the key"],
    );
    assert.equal(hosts.length, 1);
    const current = store.getById("Operation", operation.metadata.id);
    assert.deepEqual(
      current?.status.steps.map(({ name, state }) => `${name} ${state}`),
      [...provisioningStepNames.map((name) => `${name} succeeded`), "ready running"],
    );
    await fleet.calm();
    const { status } = await ended(operation);
    assert.deepEqual([status.state, status.result?.["driver"]], ["succeeded", "simulated"]);
  });

  test("makes a token for this node and site only, and leaves neither it nor the key anywhere", async () => {
    const operation = await provision();
    const parts = parseJoinToken(tokens[0] ?? "");
    const token = store.getById("JoinToken", parts?.id ?? "");
    assert.deepEqual([token?.spec.node, token?.spec.site, token?.spec.lifetimeSeconds], ["bil-1", "bilbao", 600]);
    await fleet.calm();
    const { spec, status } = await ended(operation);
    const record = JSON.stringify([spec, status]);
    assert.ok(!record.includes("the key") && !record.includes(parts?.secret ?? "?"));
    assert.deepEqual(store.list("JoinToken"), []);
  });

  test("fails at once, with the cause, on what trying again does not mend", async () => {
    const remedy = "Pin the new key if you changed it.";
    deeds.connect = () =>
      Promise.reject(
        new SkerryError("host-key-mismatch", "It shows another key.", { remedy, facts: { seen: "SHA256:x" } }),
      );
    const { status } = await ended(await provision());
    assert.equal(status.state, "failed");
    assert.deepEqual(
      [status.problem?.code, status.problem?.remedy, status.problem?.facts?.["seen"]],
      ["host-key-mismatch", remedy, "SHA256:x"],
    );
    assert.deepEqual([done, status.steps[0]?.attempts], [[], 1]);
  });

  test("gives up soon on a host that was never reached, and goes on with one that was lost in the middle", async () => {
    deeds.connect = () => Promise.reject(new SkerryError("host-unreachable", "No answer."));
    const unreachable = await ended(await provision());
    assert.deepEqual([unreachable.status.state, unreachable.status.steps[0]?.attempts], ["failed", 4]);

    deeds.connect = () => Promise.resolve();
    let cuts = 9;
    deeds.packages = () =>
      cuts-- > 0 ? Promise.reject(new SkerryError("host-connection-lost", "Cut.")) : Promise.resolve();
    const operation = await provision();
    for (let ticks = 0; ticks < 400 && !done.includes("enrol"); ticks++) await fleet.tick(1000);
    await fleet.calm();
    const { status } = await ended(operation);
    assert.deepEqual([status.state, status.steps[2]?.attempts], ["succeeded", 10]);
  });

  test("goes on in a new run of the server with the step that was under way", async () => {
    deeds.agent = (_host, signal) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
    const operation = await provision();
    assert.deepEqual(done, ["connect", "facts", "packages"]);
    fleet.killServer();
    deeds.agent = () => Promise.resolve();
    await fleet.startServer();
    assert.deepEqual(done, ["connect", "facts", "packages", "agent", "enrol"]);
    await fleet.calm();
    assert.equal((await ended(operation)).status.state, "succeeded");
  });
});
