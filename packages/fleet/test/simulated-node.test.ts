import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { NodeFacts } from "@skerry/model";
import { leaseSpan, type WantedInstance, type WantedState, type WantedVolume } from "@skerry/protocol";
import type { Character, NodePlan } from "../src/plan.ts";
import { SimulatedNode } from "../src/simulated-node.ts";

const volume: WantedVolume = {
  id: `vol_${"a".repeat(26)}`,
  presence: "present",
  epoch: 1,
  sizeMiB: 64,
  origin: { kind: "blank" },
  access: "write",
};
const guest: WantedInstance = {
  id: `ins_${"a".repeat(26)}`,
  presence: "present",
  epoch: 1,
  generation: 1,
  name: "web",
  project: "shop",
  power: "running",
  vcpus: 1,
  memoryMiB: 256,
  rootVolume: volume.id,
  nics: [],
  rebootGeneration: 0,
  sshKeys: [],
};
const facts = { hostname: "sim" } as NodeFacts;

function node(character: Character = "well"): SimulatedNode {
  const capacity = { vcpus: 4, memoryMiB: 4096, diskMiB: 10_000 };
  const plan: NodePlan = { name: "sim", site: "madrid", character, seed: 1, bootMs: [100, 300], capacity };
  return new SimulatedNode(plan);
}

function wanted(
  revision: number,
  instance: Partial<WantedInstance> = {},
  disk: Partial<WantedVolume> = {},
): WantedState {
  return {
    revision,
    node: { id: `nod_${"a".repeat(26)}`, name: "sim", overlayAddress: "100.64.0.1", overlayPrefixLength: 10 },
    peers: [],
    networks: [],
    volumes: [{ ...volume, ...disk }],
    instances: [{ ...guest, ...instance }],
  };
}

function stateOf(of: SimulatedNode): string | undefined {
  return of.report(facts).instances[0]?.state;
}

describe("a simulated node", () => {
  test("starts a guest in the time that its plan says, and tells when", () => {
    const made = node();
    made.take(wanted(5));
    const readyMs = made.advance(1000) ?? 0;
    assert.ok(readyMs >= 1100 && readyMs <= 1300, `${readyMs}`);
    assert.equal(stateOf(made), "starting");
    assert.equal(made.advance(readyMs - 1), readyMs);
    assert.equal(stateOf(made), "starting");
    assert.equal(made.advance(readyMs), undefined);
    const report = made.report(facts);
    assert.equal(report.wantedRevision, 5);
    assert.deepEqual([report.instances[0]?.state, report.volumes[0]?.state, made.running], ["running", "ready", 1]);
    assert.equal(report.instances[0]?.bootMs, Math.round(readyMs - 1000));
  });

  test("stops, reboots once for a number, and takes away what is to be absent", () => {
    const made = node();
    made.take(wanted(5));
    made.advance(made.advance(0) ?? 0);
    made.take(wanted(6, { power: "stopped" }));
    made.advance(1000);
    assert.equal(stateOf(made), "stopped");
    made.take(wanted(7));
    made.advance(made.advance(2000) ?? 0);
    assert.equal(stateOf(made), "running");
    made.take(wanted(8, { rebootGeneration: 1 }));
    const againMs = made.advance(4000) ?? 0;
    assert.equal(stateOf(made), "starting");
    assert.equal(made.advance(againMs), undefined);
    assert.equal(made.report(facts).instances[0]?.rebootGeneration, 1);
    made.take(wanted(9, { presence: "absent" }, { presence: "absent" }));
    made.advance(9000);
    const { instances, volumes } = made.report(facts);
    assert.deepEqual([instances[0]?.state, volumes[0]?.state], ["absent", "absent"]);
  });

  test("starts nothing without its disk, and ignores an older wish", () => {
    const made = node();
    made.take(wanted(5, {}, { origin: { kind: "existing" } }));
    made.advance(0);
    assert.equal(stateOf(made), "absent");
    made.take(wanted(4));
    made.advance(1);
    assert.equal(stateOf(made), "absent");
  });

  test("offers a disk with the digest that an import of it has", () => {
    const [source, target] = [node(), node()];
    source.take(wanted(5, { power: "stopped" }));
    source.advance(0);
    source.take(wanted(6, { power: "stopped" }, { access: "offer" }));
    const origin = { kind: "import", fromNode: `nod_${"b".repeat(26)}`, ticket: "t" } as const;
    target.take(wanted(6, { power: "stopped" }, { access: "hold", origin, epoch: 2 }));
    target.advance(0);
    const [offered, imported] = [source.report(facts).volumes[0], target.report(facts).volumes[0]];
    assert.equal(offered?.offered, true);
    assert.ok(offered.digest !== undefined);
    assert.deepEqual([imported?.digest, imported?.epoch], [offered.digest, 2]);
  });

  test("takes a change of the state that it has, and of no other", () => {
    const made = node();
    made.take(wanted(5));
    const change = {
      since: 5,
      revision: 6,
      volumes: [],
      instances: [{ ...guest, power: "stopped" as const }],
      unmentioned: [],
    };
    assert.equal(made.change({ ...change, since: 4 }), false);
    assert.equal(made.change(change), true);
    made.advance(0);
    assert.deepEqual([stateOf(made), made.wantedRevision], ["stopped", 6]);
  });

  test("runs what has a lease only while that holds", () => {
    const made = node();
    const seconds = 90;
    made.take(wanted(5, { lease: { seconds } }));
    made.advance(0);
    assert.equal(stateOf(made), "stopped", "without a lease it does not start");
    made.granted(made.beat(1000), 5);
    made.advance(made.advance(1000) ?? 0);
    assert.equal(stateOf(made), "running");
    const stopMs = 1000 + leaseSpan(seconds).stopSeconds * 1000;
    assert.ok(Math.abs((made.advance(2000) ?? 0) - stopMs) < 1, "it says when the lease ends");
    made.advance(stopMs - 10);
    assert.equal(stateOf(made), "running");
    made.advance(stopMs + 10);
    assert.equal(stateOf(made), "stopped");
  });

  test("of a failing kind starts nothing and says why, of a hanging one does nothing at all", () => {
    const failing = node("failing");
    failing.take(wanted(5));
    failing.advance(0);
    assert.equal(stateOf(failing), "failed");
    assert.ok(failing.report(facts).instances[0]?.error !== undefined);
    const hanging = node("hanging");
    hanging.take(wanted(5));
    assert.equal(hanging.advance(0), undefined);
    assert.deepEqual([hanging.report(facts).wantedRevision, stateOf(hanging)], [0, undefined]);
  });
});
