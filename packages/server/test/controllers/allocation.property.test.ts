import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SkerryError, type DeviceWish, type InstanceResource } from "@skerry/model";
import type { Store, Transaction, View } from "@skerry/store";
import { seed } from "@skerry/testkit/seed";
import { decide, place } from "@skerry/placement";
import { Allocation, type TakenOnNode } from "../../src/controllers/allocation.ts";
import { Fleet } from "../../src/controllers/fleet.ts";
import { empty, useScratchStore } from "../fakes/scratch-store.ts";
import { checkDevices, checkGuests, deviceWishes, devices } from "./device-count.ts";
import { ModelFleet } from "./model-fleet.ts";
import { act, contextAt, create, instanceSpec, nodeFacts, seedZone, update } from "./zone-fixture.ts";

const runs = Number(process.env["SKERRY_TEST_RUNS"] ?? 8);

const names = ["ant", "bee", "cat", "dog", "eel", "fox"] as const;
/** Not made at the beginning. */
const lateNames = ["gnu", "hen", "ibis"] as const;
const nodeNames = ["mad-1", "par-1", "ath-1"] as const;

type Wish =
  | {
      readonly kind: "create";
      readonly name: string;
      readonly vcpus: number;
      readonly diskMiB: number;
      readonly networks: string[];
      readonly devices: DeviceWish[] | undefined;
    }
  | { readonly kind: "delete" | "stop" | "start"; readonly name: string }
  | { readonly kind: "move"; readonly name: string; readonly toNode: string }
  | { readonly kind: "resize"; readonly name: string; readonly vcpus: number; readonly diskMiB: number };

type Event =
  /** Asked for at once: each in a transaction of its own, or all in one, which any of them can undo. */
  | { readonly kind: "wishes" | "all-or-nothing"; readonly wishes: readonly Wish[] }
  | { readonly kind: "work" | "cut"; readonly node: number }
  /** All nodes that are linked follow their wish; those that are cut stay away. */
  | { readonly kind: "work-all" }
  | { readonly kind: "calm" | "tick" | "restart" };

const aName = fc.constantFrom(...names, ...lateNames);
const sizes = { vcpus: fc.integer({ min: 1, max: 4 }), diskMiB: fc.integer({ min: 64, max: 40_000 }) };
const creation = (name: fc.Arbitrary<string>): fc.Arbitrary<Wish> =>
  fc.record({
    kind: fc.constant("create" as const),
    name,
    ...sizes,
    networks: fc.constantFrom(["lan"], ["small"], ["lan", "small"], []),
    devices: fc.constantFrom<(DeviceWish[] | undefined)[]>(undefined, undefined, undefined, ...deviceWishes),
  });
const move = fc.record({
  kind: fc.constant("move" as const),
  name: fc.constantFrom(...names),
  toNode: fc.constantFrom(...nodeNames),
});
const wish: fc.Arbitrary<Wish> = fc.oneof(
  { weight: 5, arbitrary: creation(aName) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom("delete", "stop", "start"), name: aName }) },
  {
    weight: 4,
    arbitrary: move,
  },
);
const asked = (...wishes: readonly Wish[]): Event => ({ kind: "wishes", wishes });
const resize = fc.record({ kind: fc.constant("resize" as const), name: fc.constantFrom(...names), ...sizes });
/** What happens next; a resize needs a stop that has come true. */
const events: fc.Arbitrary<readonly Event[]> = fc.oneof(
  { weight: 5, arbitrary: fc.array(wish, { minLength: 1, maxLength: 4 }).map((wishes) => [asked(...wishes)]) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(creation(fc.constant("gnu")), creation(fc.constantFrom("hen", "ibis", "ant")))
      .map((wishes): Event[] => [{ kind: "all-or-nothing", wishes }]),
  },
  {
    // Some of the way, so that there are copies; then one end may be away.
    weight: 3,
    arbitrary: fc
      .tuple(move, fc.array(fc.nat({ max: 2 }), { minLength: 4, maxLength: 14 }), fc.nat({ max: 4 }))
      .map(([away, works, cut]): Event[] => [
        asked(away),
        ...works.map((node) => ({ kind: "work", node }) as const),
        ...(cut > 2 ? [] : [{ kind: "cut", node: cut } as const]),
      ]),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(resize, fc.array(wish, { maxLength: 2 }))
      .map(([grow, others]): Event[] => [
        asked({ kind: "stop", name: grow.name }),
        { kind: "work-all" },
        asked(grow, ...others),
      ]),
  },
  {
    weight: 4,
    arbitrary: fc
      .record({ kind: fc.constantFrom("work", "work", "cut"), node: fc.nat({ max: 2 }) })
      .map((one) => [one]),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom("calm", "calm", "tick", "restart") }).map((one) => [one]),
  },
);

/** Some of each name first, so that what comes then has something to change. */
const history: fc.Arbitrary<readonly Event[]> = fc
  .tuple(
    fc.tuple(...names.map((name) => creation(fc.constant(name)))),
    fc.array(events, { minLength: 10, maxLength: 40 }),
  )
  .map(([wishes, later]) => [{ kind: "wishes", wishes }, { kind: "calm" }, ...later.flat()]);

describe("what many wishes take of nodes and networks", () => {
  let store: Store;
  useScratchStore((opened) => (store = opened));

  test("is never an address twice or more than there is, always equals a new count, and is nothing in the end", async (t) => {
    t.diagnostic(`seed ${seed}, ${runs} runs (SKERRY_TEST_SEED, SKERRY_TEST_RUNS)`);
    const outcomes = new Map<string, number>();
    const count = (kind: string) => outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1);
    await fc.assert(
      fc.asyncProperty(history, async (happenings) => {
        await empty(store);
        const fleet = new ModelFleet(store);
        let allocation = new Allocation(store);
        let kept = new Fleet(store, allocation);
        try {
          await settleIn(fleet);
          for (const happening of happenings) {
            await happen(fleet, allocation, kept, happening, count);
            if (happening.kind === "restart") {
              // Counted from what is there, as a new run of the server does.
              kept.close();
              allocation.close();
              allocation = new Allocation(store);
              kept = new Fleet(store, allocation);
            }
            checkAll(store, allocation, kept);
            checkAddresses(fleet);
            checkGuests(fleet);
            await store.transact((tx) => checkAll(tx, allocation, kept));
          }
          await deleteAll(fleet);
          checkAll(store, allocation, kept);
          checkAddresses(fleet);
          checkNothingIsTaken(store, fleet, allocation);
        } finally {
          kept.close();
          allocation.close();
          fleet.killServer();
        }
      }),
      { numRuns: runs, seed },
    );
    t.diagnostic([...outcomes].map(([kind, times]) => `${kind}: ${times}`).join(", "));
  });
});

async function settleIn(fleet: ModelFleet): Promise<void> {
  // The last one has none.
  fleet.facts = (name) => (name === "ath-1" ? nodeFacts : { ...nodeFacts, devices: [...devices] });
  await fleet.startServer();
  await seedZone(fleet.store, fleet.controllers.intents, fleet.clock.nowMs());
  await fleet.store.transact((tx) =>
    // Room for five guests.
    create(tx, fleet.controllers.intents, "Network", { name: "small", project: "shop" }, { cidr: "10.30.0.0/29" }, 0),
  );
  fleet.addNodes();
  await fleet.calm();
}

async function happen(
  fleet: ModelFleet,
  allocation: Allocation,
  kept: Fleet,
  happening: Event,
  count: (kind: string) => void,
): Promise<void> {
  switch (happening.kind) {
    case "wishes":
    case "all-or-nothing": {
      const { kind, wishes } = happening;
      const parts = kind === "wishes" ? wishes.map((one) => [one]) : [wishes];
      await Promise.all(parts.map((part) => inOneTransaction(fleet, allocation, kept, part, count)));
      await fleet.settle();
      return;
    }
    case "work": {
      const node = fleet.nodes[happening.node];
      assert.ok(node !== undefined);
      await fleet.link(node);
      fleet.deliver(node);
      while (node.act()) continue;
      await fleet.report(node);
      return;
    }
    case "cut": {
      const node = fleet.nodes[happening.node];
      assert.ok(node !== undefined);
      await fleet.unlink(node);
      return;
    }
    case "work-all":
      for (let rounds = 0; rounds < 3; rounds++) {
        for (const node of fleet.nodes) {
          fleet.deliver(node);
          while (node.act()) continue;
          await fleet.report(node);
        }
      }
      return;
    case "calm":
      await fleet.calm();
      return;
    case "tick":
      await fleet.tick(60_000);
      return;
    case "restart":
      fleet.killServer();
      await fleet.startServer();
      return;
  }
}

async function inOneTransaction(
  fleet: ModelFleet,
  allocation: Allocation,
  kept: Fleet,
  wishes: readonly Wish[],
  count: (kind: string) => void,
): Promise<void> {
  let outcome = "done";
  try {
    await fleet.store.transact((tx) => {
      for (const each of wishes) {
        ask(tx, fleet, each);
        checkAll(tx, allocation, kept);
      }
      checkAll(tx, allocation, kept);
    });
  } catch (error) {
    if (!(error instanceof SkerryError)) throw error;
    outcome = error.code;
  }
  count(`${wishes.map(({ kind }) => kind).join(" and ")} ${outcome}`);
}

function ask(tx: Transaction, fleet: ModelFleet, wanted: Wish): void {
  const { intents } = fleet.controllers;
  const nowMs = fleet.clock.nowMs();
  if (wanted.kind === "create") {
    const { name, vcpus, diskMiB, networks, devices: wishes } = wanted;
    const spec = { ...instanceSpec, vcpus, diskMiB, networks, ...(wishes === undefined ? {} : { devices: wishes }) };
    create(tx, intents, "Instance", { name, project: "shop" }, spec, nowMs);
    return;
  }
  const instance = find(tx, wanted.name);
  if (instance === undefined) throw new SkerryError("not-found", "There is none.");
  switch (wanted.kind) {
    case "delete":
      intents.Instance.remove(tx, instance, contextAt(nowMs));
      return;
    case "stop":
    case "start":
      act(tx, intents, instance, wanted.kind, {}, nowMs);
      return;
    case "move":
      act(tx, intents, instance, "migrate", { toNode: wanted.toNode }, nowMs);
      return;
    case "resize":
      update(tx, intents, instance, { vcpus: wanted.vcpus, diskMiB: wanted.diskMiB }, nowMs);
      return;
  }
}

function find(view: View, name: string): InstanceResource | undefined {
  return view.get("Instance", { project: "shop", name });
}

/** Counted anew from all objects, in the plainest way. */
function checkAll(view: View, allocation: Allocation, fleet: Fleet): void {
  for (const [vcpus, diskMiB, gpus] of [
    [1, 64, 0],
    [3, 20_000, 0],
    [9, 64, 0],
    [1, 64, 1],
    [1, 64, 3],
  ] as const) {
    const size = { vcpus, memoryMiB: 256, diskMiB, constraints: {} };
    const request = gpus === 0 ? size : { ...size, devices: { gpu: gpus } };
    const decision = decide(fleet.placerIn(view), request);
    assert.equal(decision.reason, place(request, fleet.in(view)).reason, "what is kept decides as a look at all nodes");
  }
  const used = allocation.in(view);
  for (const { metadata } of view.list("Node")) {
    const taken = takenOn(view, metadata.id);
    assert.deepEqual(used(metadata.id), taken, `what is counted on ${metadata.name}`);
    const over = (["vcpus", "memoryMiB", "diskMiB"] as const).filter((what) => taken[what] > nodeFacts.capacity[what]);
    assert.deepEqual(over, [], `${metadata.name} has not that much: ${JSON.stringify(taken)}`);
  }
  checkDevices(view, used);
  const held = view
    .list("Instance")
    .flatMap(({ status }) => status.addresses.map((one) => `${one.network} ${one.address}`));
  assert.equal(new Set(held).size, held.length, `an address leased twice: ${held.sort().join(", ")}`);
  const asked = view.list("Instance").flatMap(({ spec }) => spec.networks ?? []);
  assert.equal(held.length, asked.length, "each instance has an address on each of its networks");
}

/** What the server says of a network, and gives away next, is as a new count has it. */
function checkAddresses({ store, controllers, clock }: ModelFleet): void {
  for (const network of store.list("Network")) {
    const { name } = network.metadata;
    const held = heldOn(store, name);
    assert.equal(controllers.freshen(network).status.leased, held.size, `what is counted on ${name}`);
    const range = name === "small" ? (["10.30.0", 6] as const) : (["10.20.0", 254] as const);
    const all = Array.from({ length: range[1] - 1 }, (_, index) => `${range[0]}.${index + 2}`);
    const free = all.find((address) => !held.has(address));
    let given: string | undefined;
    try {
      store.rehearse((tx) => {
        const spec = { ...instanceSpec, networks: [name] };
        const wish = { name: "zebra", project: "shop" };
        const { resource } = create(tx, controllers.intents, "Instance", wish, spec, clock.nowMs());
        given = (resource as InstanceResource).status.addresses[0]?.address;
      });
    } catch (error) {
      if (!(error instanceof SkerryError)) throw error;
      if (error.code === "no-placement") continue;
      assert.equal(error.code, "address-exhausted");
    }
    assert.equal(given, free, `the next address of ${name}`);
  }
}

function heldOn(view: View, network: string): ReadonlySet<string> {
  const addresses = view.list("Instance").flatMap(({ status }) => status.addresses);
  return new Set(addresses.filter((one) => one.network === network).map(({ address }) => address));
}

function takenOn(view: View, nodeId: string): TakenOnNode {
  const total: TakenOnNode = { vcpus: 0, memoryMiB: 0, diskMiB: 0 };
  const holders = new Map<string, number>();
  for (const { assignment, spec, metadata } of view.list("Instance")) {
    const volume = view.list("Volume").find((candidate) => candidate.spec.instance === metadata.name);
    const copy = volume?.assignment?.copies?.find((one) => one.nodeId === nodeId);
    const mayComeBack = copy?.purpose === "hold";
    const runs = assignment?.nodeId === nodeId || assignment?.movingTo?.nodeId === nodeId || mayComeBack;
    const lies = runs || copy !== undefined;
    total.vcpus += runs ? spec.vcpus : 0;
    total.memoryMiB += runs ? spec.memoryMiB : 0;
    total.diskMiB += lies ? (volume?.spec.sizeMiB ?? 0) : 0;
    const places = [assignment, assignment?.movingTo, assignment?.leaving, ...(assignment?.former ?? [])];
    const held = places.flatMap((place) => (place?.nodeId === nodeId ? (place.devices ?? []) : []));
    for (const address of new Set(held.flatMap((one) => [one.address, ...(one.functions ?? [])])))
      holders.set(address, (holders.get(address) ?? 0) + 1);
  }
  return holders.size === 0 ? total : { ...total, devices: holders };
}

async function deleteAll(fleet: ModelFleet): Promise<void> {
  await fleet.calm();
  for (let rounds = 0; fleet.store.list("Instance").length > 0; rounds++) {
    assert.ok(rounds < 50, "instances that never go");
    for (const { metadata } of fleet.store.list("Instance")) {
      if (metadata.deletedAt !== undefined) continue;
      await fleet.store
        .transact((tx) => ask(tx, fleet, { kind: "delete", name: metadata.name }))
        // A move that is under way ends first.
        .catch((error: unknown) => assert.equal((error as SkerryError).code, "busy"));
    }
    await fleet.calm();
    await fleet.tick(15_000);
  }
  await fleet.calm();
}

function checkNothingIsTaken(store: Store, fleet: ModelFleet, allocation: Allocation): void {
  assert.deepEqual([store.list("Instance"), store.list("Volume")], [[], []]);
  for (const node of fleet.nodes) {
    assert.deepEqual(allocation.in(store)(node.id), { vcpus: 0, memoryMiB: 0, diskMiB: 0 });
    assert.deepEqual([node.disks.size, node.guests.size], [0, 0], `something is left on ${node.name}`);
  }
}
