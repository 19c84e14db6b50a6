import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { WantedInstance, WantedState, WantedVolume } from "@skerry/protocol";
import "@skerry/testkit/seed";
import { newId } from "../contract/ids.ts";
import { wantedInstance, wantedVolume, wish } from "../gateway/wishes.ts";
import { Crash, ModelNode } from "./model-node.ts";

const nodeId = newId("nod");
const peerId = newId("nod");
const ids = [0, 1].map(() => ({ volume: newId("vol"), instance: newId("ins") }));
const peers = [{ nodeId: peerId, publicKey: "key", dataEndpoint: "127.0.0.1:1", overlayAddress: "100.64.0.2" }];

const epoch = fc.integer({ min: 1, max: 4 });
const presence = fc.constantFrom("present" as const, "present" as const, "present" as const, "absent" as const);
const origin = fc.oneof(
  fc.constant({ kind: "blank" as const }),
  fc.constant({ kind: "existing" as const }),
  fc.constantFrom("t1", "t2", "t3").map((ticket) => ({ kind: "import" as const, fromNode: peerId, ticket })),
);

/** Any order for one pair of volume and instance, sensible or not; either may go unmentioned. */
const order = fc.record({
  volume: fc.option(
    fc.record({
      presence,
      epoch,
      origin,
      access: fc.constantFrom("write" as const, "write" as const, "offer" as const, "hold" as const),
    }),
    { nil: undefined, freq: 8 },
  ),
  instance: fc.option(
    fc.record({
      presence,
      epoch,
      power: fc.constantFrom("running" as const, "running" as const, "stopped" as const),
      rebootGeneration: fc.integer({ min: 0, max: 2 }),
      generation: fc.integer({ min: 1, max: 3 }),
      stopGraceMs: fc.constantFrom(0, 20_000),
      lease: fc.constantFrom(undefined, undefined, { seconds: 60 }),
    }),
    { nil: undefined, freq: 8 },
  ),
});

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("want" as const), orders: fc.tuple(order, order) }) },
  { weight: 6, arbitrary: fc.constant({ kind: "pass" as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("crash" as const),
      in: fc.integer({ min: 0, max: 6 }),
      after: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("guest ends" as const), which: fc.integer({ min: 0, max: 1 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("lease" as const),
      ageSeconds: fc.constantFrom(0, 0, 30, 45, 55, 1000, Infinity),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("time" as const), ms: fc.integer({ min: 1, max: 70_000 }) }) },
);

function wanted(
  orders: readonly {
    volume: Partial<WantedVolume> | undefined;
    instance: (Omit<Partial<WantedInstance>, "lease"> & { lease?: WantedInstance["lease"] | undefined }) | undefined;
  }[],
): WantedState {
  const volumes: WantedVolume[] = [];
  const instances: WantedInstance[] = [];
  for (const [index, { volume, instance }] of orders.entries()) {
    const own = ids[index];
    if (own === undefined) continue;
    if (volume !== undefined)
      volumes.push(
        wantedVolume({
          ...volume,
          id: own.volume,
          ...(volume.access === "offer" ? { offeredTo: { nodeId: peerId, ticket: "x" } } : {}),
        }),
      );
    if (instance !== undefined) {
      const { lease, ...rest } = instance;
      const whole = { ...rest, ...(lease === undefined ? {} : { lease }), id: own.instance };
      instances.push(wantedInstance(own.volume, whole));
    }
  }
  return wish(nodeId, { peers, volumes, instances });
}

function newNode(): ModelNode {
  const node = new ModelNode();
  for (const ticket of ["t1", "t2"]) node.offered.set(ticket, `digest of ${ticket}`);
  return node;
}

async function crashingPass(node: ModelNode): Promise<void> {
  try {
    for (let count = 0; count < 4; count += 1) await node.pass();
  } catch (error) {
    if (!(error instanceof Crash)) throw error;
  }
  node.restart();
}

test("whatever is ordered and wherever the agent dies, no guest runs that may not and nothing goes that may stay", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
      const node = newNode();
      for (const each of steps) {
        if (each.kind === "want") node.accept(wanted(each.orders));
        else if (each.kind === "pass") await node.pass();
        else if (each.kind === "time") node.nowMs += each.ms;
        else if (each.kind === "lease") node.leases = { ageSeconds: each.ageSeconds, unguarded: undefined };
        else if (each.kind === "guest ends") node.endGuest(ids[each.which]?.instance ?? "");
        else {
          node.crashIn = each.in;
          node.crashesAfter = each.after;
          await crashingPass(node);
        }
        assert.deepEqual(node.violations, []);
      }
    }),
    { numRuns: 1500, verbose: fc.VerbosityLevel.Verbose },
  );
});

test("a sensible order is reached from wherever the node is, however often it died on the way", async () => {
  const crashes = fc.array(fc.record({ in: fc.integer({ min: 0, max: 4 }), after: fc.boolean() }), { maxLength: 6 });
  const last = fc.record({
    power: fc.constantFrom("running" as const, "stopped" as const),
    presence,
    generation: fc.integer({ min: 1, max: 3 }),
    rebootGeneration: fc.integer({ min: 0, max: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(order, { maxLength: 4 }), crashes, last, async (before, deaths, end) => {
      const node = newNode();
      for (const each of before) {
        node.accept(wanted([each]));
        await node.pass();
        await node.pass();
      }
      // An epoch above all before, and a copy that can be had.
      const finalEpoch = 9;
      const volume = {
        presence: end.presence,
        epoch: finalEpoch,
        access: "write" as const,
        origin: { kind: "import" as const, fromNode: peerId, ticket: "t9" },
      };
      node.offered.set("t9", "digest of t9");
      node.accept(wanted([{ volume, instance: { ...end, epoch: finalEpoch } }]));
      for (const death of deaths) {
        node.crashIn = death.in;
        node.crashesAfter = death.after;
        await crashingPass(node);
      }
      assert.ok(await node.settle(), `it does not come to rest: ${JSON.stringify(node.calls.slice(-12))}`);
      assert.deepEqual(node.violations, []);
      const own = ids[0] ?? { volume: "", instance: "" };
      const guest = node.guests.get(own.instance);
      if (end.presence === "absent") {
        assert.equal(guest, undefined);
        assert.equal(node.disks.has(own.volume), false);
        return;
      }
      assert.equal(guest?.state, end.power === "running" ? "running" : "stopped");
      assert.equal(guest.epoch, finalEpoch);
      assert.equal(node.disks.get(own.volume)?.epoch, finalEpoch);
      assert.equal(
        node.disks.get(own.volume)?.lineage,
        "digest of t9",
        "an older copy is never taken for the one ordered",
      );
      assert.equal(node.journal.instance(own.instance).appliedGeneration, end.generation);
      assert.equal(node.journal.instance(own.instance).rebootGeneration >= end.rebootGeneration, true);
    }),
    { numRuns: 1000, verbose: fc.VerbosityLevel.Verbose },
  );
});
