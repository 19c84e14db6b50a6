import assert from "node:assert/strict";
import type { InstanceResource, OperationResource } from "@skerry/model";
import { parseJoinToken } from "@skerry/protocol";
import { provisioningStepNames, type HostProvisioner } from "../../src/operations/host-provisioner.ts";
import type { ModelFleet } from "./model-fleet.ts";
import type { ModelNode } from "./model-node.ts";
import { act, contextAt, create, instanceSpec, seedZone, update } from "./zone-fixture.ts";

/** How an operation of one kind comes about, from a zone with two joined nodes, one of them the owner of what there is. */
export interface Scenario {
  prepare?(fleet: ModelFleet): Promise<void>;
  ask(fleet: ModelFleet): Promise<OperationResource>;
  /** Something in the world that makes it fail by itself. */
  readonly fault?: (fleet: ModelFleet) => void;
  /** The node that has the subject, or had it before the operation. */
  ownerOf(fleet: ModelFleet): ModelNode | undefined;
  /** Whether another node takes part. */
  readonly withOther?: boolean;
  /** What has to be true in the end of an operation that succeeded. */
  check(fleet: ModelFleet): void;
  /** And of one that did not, and says nothing of what it could not take back. */
  checkBack?(fleet: ModelFleet, operation: OperationResource): void;
}

const key = { name: "web", project: "shop" };

function web(fleet: ModelFleet): InstanceResource {
  return fleet.store.get("Instance", key) ?? assert.fail("there is no instance");
}

function runsAs(fleet: ModelFleet, change: Partial<InstanceResource["spec"]>): void {
  const { spec, status } = web(fleet);
  assert.deepEqual({ ...spec, ...change }, spec);
  assert.deepEqual(
    [status.state, status.health],
    spec.power === "stopped" ? ["stopped", "unknown"] : ["running", "healthy"],
  );
}

const makeRunning = async (fleet: ModelFleet): Promise<void> => {
  const { intents } = fleet.controllers;
  await fleet.store.transact((tx) => create(tx, intents, "Instance", key, instanceSpec, fleet.clock.nowMs()));
  await fleet.calm();
};

const makeStopped = async (fleet: ModelFleet): Promise<void> => {
  const { intents } = fleet.controllers;
  const spec = { ...instanceSpec, power: "stopped" as const };
  await fleet.store.transact((tx) => create(tx, intents, "Instance", key, spec, fleet.clock.nowMs()));
  await fleet.calm();
};

const ask = async (
  fleet: ModelFleet,
  wish: Parameters<ModelFleet["store"]["transact"]>[0],
): Promise<OperationResource> => {
  const { result } = await fleet.store.transact(wish);
  const { operation } = result as { readonly operation?: OperationResource };
  return operation ?? assert.fail("nothing was begun");
};

const action =
  (name: string, input = {}) =>
  (fleet: ModelFleet) =>
    ask(fleet, (tx) => act(tx, fleet.controllers.intents, web(fleet), name, input, fleet.clock.nowMs()));

/** By kind; every registered kind has to be here. */
export const scenarios: Readonly<Record<string, Scenario>> = {
  "instance.create": {
    ownerOf: ownerOfWeb,
    ask: (fleet) =>
      ask(fleet, (tx) => create(tx, fleet.controllers.intents, "Instance", key, instanceSpec, fleet.clock.nowMs())),
    check: (fleet) => runsAs(fleet, {}),
    // Who cancels a creation does not want the instance; one that failed stays there to be looked at.
    checkBack: (fleet, { status }) =>
      assert.equal(fleet.store.list("Instance").length, status.state === "cancelled" ? 0 : 1),
  },
  "instance.start": {
    ownerOf: ownerOfWeb,
    prepare: makeStopped,
    ask: action("start"),
    check: (fleet) => runsAs(fleet, { power: "running" }),
  },
  "instance.stop": {
    ownerOf: ownerOfWeb,
    prepare: makeRunning,
    ask: action("stop"),
    check: (fleet) => runsAs(fleet, { power: "stopped" }),
  },
  "instance.reboot": {
    ownerOf: ownerOfWeb,
    prepare: makeRunning,
    ask: action("reboot"),
    check(fleet) {
      runsAs(fleet, { rebootGeneration: 1 });
      assert.equal(ownerOfWeb(fleet)?.guests.get(web(fleet).metadata.id)?.reboots, 1);
    },
  },
  "instance.resize": {
    ownerOf: ownerOfWeb,
    prepare: makeStopped,
    ask: (fleet) =>
      ask(fleet, (tx) => {
        const change = { vcpus: 2, diskMiB: 128, power: "running" as const };
        return update(tx, fleet.controllers.intents, web(fleet), change, fleet.clock.nowMs());
      }),
    check(fleet) {
      runsAs(fleet, { vcpus: 2, power: "running" });
      assert.equal(fleet.store.get("Volume", key)?.spec.sizeMiB, 128);
    },
  },
  "instance.delete": {
    ownerOf: ownerOfWeb,
    prepare: makeRunning,
    ask: (fleet) =>
      ask(fleet, (tx) => fleet.controllers.intents.Instance.remove(tx, web(fleet), contextAt(fleet.clock.nowMs()))),
    check: (fleet) => assert.deepEqual(fleet.store.list("Instance"), []),
  },
  "instance.migrate": {
    ownerOf: (fleet) => fleet.nodes.find(({ name }) => name === firstOwnerOfWeb(fleet)),
    withOther: true,
    prepare: makeRunning,
    ask: action("migrate"),
    fault(fleet) {
      for (const node of fleet.nodes) if (!node.runs) node.sick = true;
    },
    check(fleet) {
      runsAs(fleet, {});
      assert.notEqual(ownerOfWeb(fleet)?.name, firstOwnerOfWeb(fleet));
    },
    checkBack: (fleet) => assert.equal(ownerOfWeb(fleet)?.name, firstOwnerOfWeb(fleet)),
  },
  "instance.replace": {
    ownerOf: (fleet) => fleet.nodes.find(({ name }) => name === firstOwnerOfWeb(fleet)),
    withOther: true,
    async prepare(fleet) {
      const { intents } = fleet.controllers;
      const spec = { ...instanceSpec, onDisconnect: { replaceAfterSeconds: 600 } };
      await fleet.store.transact((tx) => create(tx, intents, "Instance", key, spec, fleet.clock.nowMs()));
      await fleet.calm();
    },
    /** Nobody asks: its node is away for long enough. */
    async ask(fleet) {
      const owner = ownerOfWeb(fleet) ?? assert.fail("it is nowhere");
      owner.alive = false;
      await fleet.unlink(owner);
      for (let minutes = 0; minutes < 30; minutes++) {
        const asked = fleet.store.list("Operation").find(({ spec }) => spec.type === "instance.replace");
        if (asked !== undefined) return asked;
        if (!fleet.serverIsUp) fleet.killServer();
        if (!fleet.serverIsUp) await fleet.startServer();
        for (const node of fleet.nodes) {
          await fleet.link(node);
          await fleet.report(node);
        }
        await fleet.tick(60_000);
      }
      return assert.fail("it is never replaced");
    },
    fault(fleet) {
      for (const node of fleet.nodes) if (!node.runs) node.sick = true;
    },
    // Where its node came back in time it is left there.
    check: (fleet) => runsAs(fleet, {}),
  },
  "node.drain": emptying("Node", "drain", (fleet) => firstOwnerOfWeb(fleet) ?? ""),
  "site.evacuate": emptying("Site", "evacuate", siteOfWeb),
  "provider.evacuate": emptying(
    "Provider",
    "evacuate",
    (fleet) => fleet.store.get("Site", { name: siteOfWeb(fleet) })?.spec.provider ?? "",
  ),
  "placement.rebalance": {
    ownerOf: (fleet) => fleet.nodes.find(({ name }) => name === firstOwnerOfWeb(fleet)),
    withOther: true,
    prepare: makeRunning,
    ask: (fleet) =>
      ask(fleet, (tx) => {
        const { assignment, metadata } = web(fleet);
        const to = fleet.nodes.find(({ id }) => id !== assignment?.nodeId)?.name;
        const from = { node: assignment?.node, nodeId: assignment?.nodeId };
        const moves = [{ instanceId: metadata.id, from, to: { node: to } }];
        const operation = fleet.controllers.engine.submit(tx, {
          type: "placement.rebalance",
          targets: [{ kind: "Placement", name: "rebalance" }],
          ...{ actor: "test", cause: "test", deadlineMs: 1800_000 },
          input: { moves, maxParallel: 2, onBlocked: "skip", ignoreBudgets: false },
        });
        return { resource: operation, operation };
      }),
    // Where its node is away for too long it stays, as a result that says so.
    check: (fleet) => runsAs(fleet, {}),
    checkBack: (fleet) => runsAs(fleet, {}),
  },
  "node.provision": {
    ownerOf: (fleet) => fleet.nodes.find(({ name }) => name === "bil-1"),
    async prepare(fleet) {
      const { intents } = fleet.controllers;
      const ssh = { user: "admin", privateKey: "the key" };
      const site = { provider: "metal", country: "ES", latitude: 43, longitude: -3, tier: "far-edge" } as const;
      await fleet.store.transact((tx) => {
        const nowMs = fleet.clock.nowMs();
        create(tx, intents, "Provider", { name: "metal" }, { driver: "ssh", country: "ES", ssh }, nowMs);
        create(tx, intents, "Site", { name: "bilbao" }, site, nowMs);
        create(tx, intents, "Node", { name: "bil-1" }, { site: "bilbao", address: "192.0.2.7" }, nowMs);
      });
      fleet.addNodes();
    },
    ask: (fleet) =>
      ask(fleet, (tx) => {
        const node = tx.get("Node", { name: "bil-1" }) ?? assert.fail("no node");
        return act(tx, fleet.controllers.intents, node, "provision", {}, fleet.clock.nowMs());
      }),
    check(fleet) {
      const { status } = fleet.store.get("Node", { name: "bil-1" }) ?? assert.fail("no node");
      assert.deepEqual([status.connected, status.publicKey], [true, "key of bil-1"]);
    },
  },
};

/** Of a node, or of what it stands in: only that one is there. */
function emptying(kind: "Node" | "Site" | "Provider", verb: string, nameIn: (fleet: ModelFleet) => string): Scenario {
  const subject = (fleet: ModelFleet) =>
    fleet.store.get(kind, { name: nameIn(fleet) }) ?? assert.fail(`there is no ${kind}`);
  return {
    ownerOf: (fleet) => fleet.nodes.find(({ name }) => name === firstOwnerOfWeb(fleet)),
    withOther: true,
    prepare: makeRunning,
    ask: (fleet) =>
      ask(fleet, (tx) =>
        act(tx, fleet.controllers.intents, subject(fleet), verb, { deadlineSeconds: 1800 }, fleet.clock.nowMs()),
      ),
    fault(fleet) {
      for (const node of fleet.nodes) if (!node.runs) node.sick = true;
    },
    check(fleet) {
      runsAs(fleet, {});
      assert.notEqual(ownerOfWeb(fleet)?.name, firstOwnerOfWeb(fleet));
      assert.equal(subject(fleet).spec.schedulable, false);
    },
    checkBack(fleet) {
      runsAs(fleet, {});
      assert.equal(subject(fleet).spec.schedulable, undefined, "the cordon went with it");
    },
  };
}

function siteOfWeb(fleet: ModelFleet): string {
  return fleet.store.get("Node", { name: firstOwnerOfWeb(fleet) ?? "" })?.spec.site ?? "";
}

function ownerOfWeb(fleet: ModelFleet): ModelNode | undefined {
  const nodeId = fleet.store.get("Instance", key)?.assignment?.nodeId;
  return fleet.nodes.find(({ id }) => id === nodeId);
}

/** Disks tell who wrote to them: the first was the node on which the instance was made. */
function firstOwnerOfWeb(fleet: ModelFleet): string | undefined {
  const contents = fleet.nodes.flatMap(({ disks }) => [...disks.values()].map(({ content }) => content));
  return contents.map((content) => /^image ([a-z]+-1)/.exec(content)?.[1]).find((name) => name !== undefined);
}

/** A zone with two nodes, and a bare host that is what provisioning makes of it. */
export async function prepare(fleet: ModelFleet, scenario: Scenario, moment: () => void): Promise<void> {
  fleet.provisioner = bareHost(fleet, moment);
  await fleet.startServer();
  await seedZone(fleet.store, fleet.controllers.intents, fleet.clock.nowMs(), 2);
  fleet.addNodes();
  await fleet.calm();
  await scenario.prepare?.(fleet);
}

/** Does what a server's process has asked of the host, as long as that process lives; `moment` may kill it. */
function bareHost(fleet: ModelFleet, moment: () => void): HostProvisioner {
  return {
    steps(host) {
      const life = fleet.lives;
      const goOn = async () => {
        moment();
        await Promise.resolve();
        if (!fleet.serverIsUp || fleet.lives !== life) await new Promise(() => {});
      };
      return provisioningStepNames.map((name) => ({
        name,
        async run(report, signal) {
          await goOn();
          report(`${name} half done`, 1, 2);
          if (name === "enrol") join(fleet, await host.mintJoinToken(signal));
          await goOn();
        },
      }));
    },
  };
}

/** What the agent does with its token, unless it has joined before. */
function join(fleet: ModelFleet, token: string): void {
  const node = fleet.nodes.find(({ name }) => name === "bil-1") ?? assert.fail("no host");
  const used = parseJoinToken(token)?.id ?? assert.fail("no token");
  void fleet.store.transact((tx) => {
    const stored = tx.getById("Node", node.id);
    const record = tx.getById("JoinToken", used);
    if (stored === undefined || record === undefined || stored.status.publicKey !== undefined) return;
    tx.put({
      ...record,
      status: { ...record.status, usedAt: new Date(fleet.clock.nowMs()).toISOString(), usedBy: node.name },
    });
    tx.put({ ...stored, status: { ...stored.status, publicKey: `key of ${node.name}` } });
  });
}
