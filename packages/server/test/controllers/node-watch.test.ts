import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import type { InstanceResource, NodeResource } from "@skerry/model";
import type { ObservedState } from "@skerry/protocol";
import type { Store } from "@skerry/store";
import { storedUnreachable } from "../../src/controllers/reachability.ts";
import { calmZone, useFleet } from "./fleet-suite.ts";
import { heartbeatMs, type ModelFleet } from "./model-fleet.ts";
import type { ModelNode } from "./model-node.ts";
import { create, instanceSpec, nodeFacts } from "./zone-fixture.ts";

describe("what nodes report", () => {
  let store: Store;
  let fleet: ModelFleet;
  let owner: ModelNode;
  let other: ModelNode;

  const web = (): InstanceResource =>
    store.get("Instance", { project: "shop", name: "web" }) ?? assert.fail("no instance");
  const nodeOf = ({ id }: ModelNode): NodeResource => store.getById("Node", id) ?? assert.fail("no node");
  const ready = (node: ModelNode) => nodeOf(node).status.conditions.find(({ type }) => type === "Ready");
  const observe = async (node: ModelNode, change: (report: ObservedState) => ObservedState = (report) => report) => {
    const observed = fleet.controllers.delegate.observed(node.id, change(node.report(nodeFacts)));
    await fleet.settle();
    await observed;
  };

  useFleet((suite) => ({ store, fleet } = suite), calmZone(2));
  beforeEach(async () => {
    const { intents } = fleet.controllers;
    await store.transact((tx) =>
      create(tx, intents, "Instance", { name: "web", project: "shop" }, instanceSpec, fleet.clock.nowMs()),
    );
    await fleet.calm();
    owner = fleet.nodes.find(({ id }) => id === web().assignment?.nodeId) ?? assert.fail("no owner");
    other = fleet.nodes.find((node) => node !== owner) ?? assert.fail("no other");
  });

  test("becomes the status of what they own", () => {
    const { status } = web();
    assert.deepEqual([status.state, status.health, status.driver], ["running", "healthy", "simulated"]);
    assert.equal(store.get("Volume", { project: "shop", name: "web" })?.status.state, "ready");
    assert.equal(store.get("Volume", { project: "shop", name: "web" })?.assignment?.filled, true);
    assert.deepEqual([nodeOf(owner).status.connected, ready(owner)?.state], [true, "true"]);
  });

  test("says at which site and provider an instance is, also when its node comes to another site", async () => {
    const place = ({ status }: InstanceResource) => [status.site, status.provider];
    const { site } = nodeOf(owner).spec;
    const { provider } = store.get("Site", { name: site })?.spec ?? assert.fail("no site");
    assert.deepEqual(place(web()), [site, provider]);
    const [elsewhere] = store.list("Site").filter(({ metadata }) => metadata.name !== site);
    const { metadata, spec } = elsewhere ?? assert.fail("no other site");
    await store.transact((tx) => tx.put({ ...nodeOf(owner), spec: { ...nodeOf(owner).spec, site: metadata.name } }));
    await observe(owner);
    assert.deepEqual(place(web()), [metadata.name, spec.provider]);
  });

  test("never becomes the status of what another node owns, or of another epoch", async () => {
    const before = web();
    const claim = owner
      .report(nodeFacts)
      .instances.map((guest) => ({ ...guest, state: "failed" as const, error: "lies" }));
    await observe(other, (report) => ({ ...report, instances: claim }));
    await observe(owner, (report) => ({ ...report, instances: claim.map((guest) => ({ ...guest, epoch: 7 })) }));
    assert.equal(web(), before);
    await observe(owner, (report) => ({ ...report, instances: claim }));
    assert.deepEqual([web().status.state, web().status.error], ["failed", "lies"]);
  });

  test("that something fails becomes a condition with its code and remedy, for as long as it fails", async () => {
    const volume = () => store.get("Volume", { project: "shop", name: "web" }) ?? assert.fail("no volume");
    const failing = { error: "The disk is full.", errorCode: "storage-full", remedy: "Free space." };
    const failAll = (report: ObservedState): ObservedState => ({
      ...report,
      volumes: report.volumes.map((disk) => ({ ...disk, ...failing, state: "failed" as const })),
    });
    await observe(owner, failAll);
    const [condition] = volume().status.conditions;
    assert.deepEqual(
      [condition?.type, condition?.state, condition?.reason, condition?.message],
      ["Failing", "true", "StorageFull", "The disk is full. Free space."],
    );
    await observe(owner, (report) => ({
      ...report,
      volumes: report.volumes.map((disk) => ({ ...disk, ...failing, errorCode: "../9" })),
    }));
    assert.equal(volume().status.conditions[0]?.reason, "NodeDriverFailed");
    await observe(owner);
    assert.deepEqual(volume().status.conditions, []);
  });

  test("that a node's disk is full is told of the instance that waits for it, with a command, until it has its disk", async () => {
    const full = {
      error: "volume vol_x could not be written",
      errorCode: "storage-full",
      remedy: "Free space below /x.",
    };
    const failing = (state: "pending" | "running", of: "volumes" | "instances") => (report: ObservedState) => ({
      ...report,
      volumes: report.volumes.map((disk) => (of === "volumes" ? { ...disk, ...full } : disk)),
      instances: report.instances.map((guest) => ({ ...guest, state, ...(of === "instances" ? full : {}) })),
    });
    const said = () => web().status.conditions.map(({ type, reason, message }) => [type, reason, message]);
    const move = `The disk of node ${owner.name} is full. Free space on node ${owner.name}, and it goes on by itself within a minute. Or move it: skerry instance migrate web --project shop --to-provider PROVIDER`;
    await observe(owner, failing("pending", "volumes"));
    assert.deepEqual(said(), [["Failing", "StorageFull", move]]);
    await observe(owner, failing("running", "volumes"));
    assert.deepEqual(said(), []);
    await observe(owner, failing("pending", "instances"));
    assert.deepEqual(said(), [["Failing", "StorageFull", move]]);
    await store.transact((tx) => {
      const { assignment, ...volume } = tx.get("Volume", { project: "shop", name: "web" }) ?? assert.fail("no volume");
      const { filled: _not, ...unfilled } = assignment ?? assert.fail("no assignment");
      tx.put({ ...volume, assignment: unfilled });
    });
    await observe(owner, (report) => ({ ...failing("pending", "instances")(report), volumes: [] }));
    assert.match(String(said()[0]?.[2]), /create it elsewhere: skerry instance delete web --project shop$/);
    await observe(owner);
    assert.deepEqual(said(), []);
  });

  test("that a node's disk is full is told to whoever waits for an instance that it can't take on", async () => {
    const { operation, resource } = await store
      .transact((tx) =>
        create(
          tx,
          fleet.controllers.intents,
          "Instance",
          { name: "new", project: "shop" },
          instanceSpec,
          fleet.clock.nowMs(),
        ),
      )
      .then(({ result }) => result);
    const { id } = resource.metadata;
    const { nodeId } = store.getById("Instance", id)?.assignment ?? assert.fail("no place");
    const node = fleet.nodes.find((each) => each.id === nodeId) ?? assert.fail("no node");
    const unkept = { id, epoch: 1, generation: 0, state: "pending", health: "unknown", rebootGeneration: 0 } as const;
    const full = { error: "it could not be written down", errorCode: "storage-full" };
    await observe(node, (report) => ({ ...report, instances: [...report.instances, { ...unkept, ...full }] }));
    await fleet.tick(heartbeatMs);
    const [step] = store.getById("Operation", operation?.metadata.id ?? "")?.status.steps ?? [];
    assert.match(step?.message ?? "", /waits for the disk on \S+; The disk of node \S+ is full/);
  });

  test("is written when it changes, and otherwise rarely, while replies still show its true age", async () => {
    const { revision } = store;
    const [firstMs, laterMs] = [fleet.clock.nowMs(), fleet.clock.nowMs() + 20_000];
    fleet.clock.moveTo(laterMs);
    const busier = { ...nodeFacts, agentResidentMiB: 80 };
    await observe(owner, (report) => ({ ...report, facts: busier }));
    assert.equal(store.revision, revision);
    const seenAt = new Date(laterMs).toISOString();
    assert.equal(nodeOf(owner).status.seenAt, new Date(firstMs).toISOString());
    assert.equal(fleet.controllers.freshen(nodeOf(owner)).status.seenAt, seenAt);
    assert.equal(fleet.controllers.freshen(web()).status.seenAt, seenAt);
    fleet.clock.moveTo(laterMs + 15_000);
    await observe(owner, (report) => ({ ...report, facts: busier }));
    assert.equal(nodeOf(owner).status.facts?.agentResidentMiB, 80);
  });

  test("of an agent that has not looked yet says nothing about what is there", async () => {
    const before = web();
    await observe(owner, (report) => ({ ...report, wantedRevision: 0, instances: [], volumes: [] }));
    assert.equal(web(), before);
    await observe(owner, (report) => ({ ...report, instances: [], volumes: [] }));
    assert.equal(web().status.state, "absent");
  });

  test("a key of the overlay is the node's that showed it first, whoever claims it later", async () => {
    const keyed = (letter: string) => ({ ...nodeFacts, overlayPublicKey: `${letter.repeat(43)}=` });
    const shows = (node: ModelNode, letter: string) => observe(node, (report) => ({ ...report, facts: keyed(letter) }));
    const overlay = (node: ModelNode) => {
      const { facts, conditions } = nodeOf(node).status;
      return [facts?.overlayPublicKey?.[0], conditions.find(({ type }) => type === "Overlay")?.reason];
    };
    await shows(owner, "a");
    await shows(other, "b");
    assert.deepEqual(
      [overlay(owner), overlay(other)],
      [
        ["a", undefined],
        ["b", undefined],
      ],
    );
    await shows(other, "a");
    await shows(owner, "a");
    assert.deepEqual(
      [overlay(owner), overlay(other)],
      [
        ["a", undefined],
        [undefined, "KeyOfAnotherNode"],
      ],
    );
    await shows(other, "c");
    assert.deepEqual(overlay(other), ["c", undefined]);
  });

  test("shows what the server did not put there, and leaves it alone", async () => {
    const stranger = { id: `vol_${"9".repeat(26)}`, epoch: 1, state: "ready" as const };
    await observe(other, (report) => ({ ...report, volumes: [stranger] }));
    const condition = nodeOf(other).status.conditions.find(({ type }) => type === "Strangers");
    assert.match(condition?.message ?? "", /vol_9+\. It is left alone/);
    assert.deepEqual(fleet.controllers.delegate.wantedStateOf(other.id)?.volumes, []);
    await observe(other);
    assert.equal(
      nodeOf(other).status.conditions.some(({ type }) => type === "Strangers"),
      false,
    );
  });

  test("makes nothing of a disk that is missing before the node knows of the order to remove it", async () => {
    const { intents } = fleet.controllers;
    const unaware = owner.report(nodeFacts);
    await store.transact((tx) =>
      intents.Instance.remove(tx, web(), { actor: "a", cause: "c", nowMs: 0, makeId: () => "" }),
    );
    await observe(owner, () => ({ ...unaware, instances: [], volumes: [] }));
    assert.ok(web().metadata.deletedAt !== undefined);
    fleet.deliver(owner);
    await observe(owner, (report) => ({ ...report, instances: [], volumes: [] }));
    assert.equal(store.get("Instance", { project: "shop", name: "web" }), undefined);
  });

  test("that is bad for one node does not keep the others' from being written", async () => {
    const broken = { ...other.report(nodeFacts), wantedRevision: 1e9 };
    Object.defineProperty(broken, "volumes", { get: () => assert.fail("cannot be read") });
    const { delegate } = fleet.controllers;
    const stopped = (report: ObservedState) => ({
      ...report,
      instances: report.instances.map((guest) => ({ ...guest, state: "stopped" as const })),
    });
    const first = delegate.observed(owner.id, owner.report(nodeFacts));
    const bad = assert.rejects(delegate.observed(other.id, broken), /cannot be read/);
    const good = delegate.observed(owner.id, stopped(owner.report(nodeFacts)));
    await fleet.settle();
    await Promise.all([first, bad, good]);
    assert.equal(web().status.state, "stopped");
  });

  test("is missed after three heartbeats of silence, and taken up again after it", async () => {
    for (let beat = 0; beat < 5; beat++) {
      await observe(other);
      await fleet.tick(heartbeatMs);
    }
    assert.deepEqual([nodeOf(owner).status.connected, ready(owner)?.reason], [false, "Silent"]);
    assert.equal(nodeOf(other).status.connected, true);
    await observe(owner);
    assert.deepEqual([nodeOf(owner).status.connected, ready(owner)?.reason], [true, "Reporting"]);
  });

  test("is missed neither sooner nor later where the server's clock is set on or back", async () => {
    for (const wallOffsetMs of [86_400_000, -86_400_000]) {
      await observe(owner);
      await observe(other);
      fleet.wallOffsetMs = wallOffsetMs;
      await fleet.tick(heartbeatMs);
      await fleet.tick(heartbeatMs);
      assert.deepEqual([nodeOf(owner).status.connected, nodeOf(other).status.connected], [true, true]);
    }
    for (let beat = 0; beat < 3; beat++) {
      await observe(other);
      await fleet.tick(heartbeatMs);
    }
    assert.deepEqual([nodeOf(owner).status.connected, nodeOf(other).status.connected], [false, true]);
  });

  test("is told as old in replies about what it has, from the third silent beat on, and nothing of that is stored", async () => {
    const told = () =>
      fleet.controllers
        .freshen(web())
        .status.conditions.map(({ type, state, reason, message }) => [type, state, reason, message]);
    const quiet = (seconds: number) =>
      `Node ${owner.name} was last heard ${seconds} s ago: what is told here is as of then.`;
    const { revision } = store;
    const inst = web();
    await observe(owner);
    fleet.clock.moveTo(fleet.clock.nowMs() + 2 * heartbeatMs);
    assert.deepEqual([told(), fleet.controllers.unreachable(owner.id)], [[], undefined]);
    fleet.clock.moveTo(fleet.clock.nowMs() + 2000);
    const [silence] = told();
    assert.deepEqual(silence, ["Reachable", "unknown", "NodeSilent", quiet((2 * heartbeatMs) / 1000 + 2)]);
    assert.equal(fleet.controllers.unreachable(owner.id)?.reason, "NodeSilent");
    assert.deepEqual([store.revision, web()], [revision, inst]);
    await fleet.unlink(owner);
    assert.deepEqual(told()[0]?.slice(0, 3), ["Reachable", "false", "NodeDisconnected"]);
    assert.deepEqual(storedUnreachable(store, owner.id, fleet.clock.nowMs())?.reason, "NodeDisconnected");
    assert.equal(storedUnreachable(store, other.id, fleet.clock.nowMs()), undefined);
    assert.equal(web(), inst, "one write tells of the node, none of what it has");
    await fleet.calm();
    assert.deepEqual(told(), []);
  });

  test("is told neither as old nor as new where the server's clock is set on or back", async () => {
    for (const wallOffsetMs of [3_600_000, -3_600_000]) {
      await observe(owner);
      fleet.wallOffsetMs = wallOffsetMs;
      assert.equal(fleet.controllers.unreachable(owner.id), undefined);
      fleet.clock.moveTo(fleet.clock.nowMs() + 2 * heartbeatMs + 2000);
      assert.match(fleet.controllers.unreachable(owner.id)?.message ?? "", /was last heard [0-9]+ s ago/);
    }
  });

  test("ends with the link, unless a newer link is up", async () => {
    await fleet.unlink(owner);
    assert.deepEqual([nodeOf(owner).status.connected, ready(owner)?.reason], [false, "Disconnected"]);
    await fleet.link(owner);
    await fleet.controllers.delegate.disconnected(owner.id);
    assert.equal(nodeOf(owner).status.connected, true);
  });

  test("is nothing to a new run of the server until nodes link again", async () => {
    fleet.killServer();
    await fleet.startServer();
    assert.deepEqual([nodeOf(owner).status.connected, ready(owner)?.reason], [false, "Disconnected"]);
    assert.equal(web().status.state, "running");
    await fleet.calm();
    assert.equal(nodeOf(owner).status.connected, true);
  });
});
