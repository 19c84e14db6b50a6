import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { InstanceResource, NodeResource, VolumeResource } from "@skerry/model";
import type { Store } from "@skerry/store";
import { changedWanted, type WantedState } from "@skerry/protocol";
import { seed } from "@skerry/testkit/seed";
import { AddressBook } from "../../src/controllers/addressing/address-book.ts";
import { Fleet } from "../../src/controllers/fleet.ts";
import { SpendBook } from "../../src/controllers/quotas/spend-book.ts";
import { UsageBook } from "../../src/controllers/quotas/usage-book.ts";
import { Allocation } from "../../src/controllers/allocation.ts";
import { makeIntents } from "../../src/controllers/intents.ts";
import { NodeIndex } from "../../src/controllers/node-index.ts";
import { wantedStateOf } from "../../src/controllers/wanted-state.ts";
import { WantedStates } from "../../src/controllers/wanted-states.ts";
import { evenRandom } from "../fakes/quiet.ts";
import { empty, useScratchStore } from "../fakes/scratch-store.ts";
import { contextAt, instanceSpec, nodeFacts, seedZone } from "./zone-fixture.ts";

const startMs = Date.UTC(2026, 0, 1);

/** Where an instance and its disk are and may be, of three nodes; undefined where they are nowhere. */
const situation = fc.record({
  instance: fc.nat({ max: 3 }),
  /** What is written; each alone too. */
  of: fc.constantFrom("both", "instance", "volume"),
  gone: fc.boolean(),
  removed: fc.boolean(),
  networks: fc.constantFrom<string[]>([], ["lan"]),
  owner: fc.nat({ max: 2 }),
  target: fc.option(fc.nat({ max: 2 }), { nil: undefined }),
  former: fc.option(fc.nat({ max: 2 }), { nil: undefined }),
  copy: fc.option(fc.nat({ max: 2 }), { nil: undefined }),
  offered: fc.boolean(),
  held: fc.boolean(),
});
const change = fc.oneof(
  { weight: 6, arbitrary: situation },
  {
    weight: 1,
    arbitrary: fc.record({ node: fc.nat({ max: 2 }), endpoint: fc.nat({ max: 3 }), carries: fc.boolean() }),
  },
);
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

describe("the wanted states of all nodes", () => {
  let store: Store;
  useScratchStore(
    (opened) => (store = opened),
    () => startMs,
  );

  test("follow every change as if they were made anew, tell of each node whose state changed, rise in revision only then, and lead from one to the next by their changes", async (t) => {
    t.diagnostic(`seed ${seed} (SKERRY_TEST_SEED)`);
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 15 }), async (changes) => {
        await empty(store);
        const engine = { submit: () => assert.fail(), cancel: () => assert.fail(), requireIdle: () => assert.fail() };
        const allocation = new Allocation(store);
        const intents = makeIntents({
          engine,
          residents: { instanceIdsOn: () => assert.fail() },
          allocation,
          addresses: new AddressBook(store),
          fleet: new Fleet(store, allocation),
          usage: new UsageBook(store),
          spend: new SpendBook(store),
          random: evenRandom,
          rights: { grantsOf: () => [] },
          people: { userIdOf: () => undefined, sessionIdsOf: () => [] },
          authorityFingerprint: "f".repeat(64),
        });
        await seedZone(store, intents, startMs);
        const nodes = store.list("Node");
        const told = new Set<string>();
        const states = new WantedStates(store, (nodeId) => told.add(nodeId));
        const sent = new Map<string, WantedState | undefined>();
        for (const { metadata } of nodes) sent.set(metadata.id, states.get(metadata.id));
        for (const next of changes) {
          const before = new Map(nodes.map(({ metadata }) => [metadata.id, fresh(store, metadata.id)]));
          const revisions = new Map(nodes.map(({ metadata }) => [metadata.id, states.get(metadata.id)?.revision]));
          told.clear();
          await apply(store, nodes, next);
          for (const { metadata } of nodes) {
            const expected = fresh(store, metadata.id);
            const { revision, ...content } = states.get(metadata.id) ?? { revision: undefined };
            assert.equal(JSON.stringify(content), expected);
            const changed = expected !== before.get(metadata.id);
            assert.equal(
              revision !== revisions.get(metadata.id),
              changed,
              `whether ${metadata.name} has a new revision`,
            );
            if (changed) assert.ok(told.has(metadata.id), `${metadata.name} is told`);
          }
          // Not each time, so that one change covers several.
          for (const { metadata } of nodes.slice(0, changes.indexOf(next) % 4)) {
            const before = sent.get(metadata.id);
            if (before === undefined) continue;
            const change = states.changeSince(metadata.id, before.revision);
            const after = change === undefined ? undefined : changedWanted(before, change);
            assert.deepEqual(after, states.get(metadata.id));
            sent.set(metadata.id, after);
          }
        }
        states.close();
      }),
      { numRuns: 60, seed },
    );
  });
});

function fresh(store: Store, nodeId: string): string {
  return JSON.stringify(wantedStateOf(new NodeIndex(store), nodeId) ?? {});
}

async function apply(store: Store, nodes: readonly NodeResource[], next: Change): Promise<void> {
  await store.transact((tx) => {
    if ("node" in next) {
      const node = tx.getById("Node", nodes[next.node]?.metadata.id ?? "");
      const network = tx.get("Network", { project: "shop", name: "lan" });
      if (node === undefined || network === undefined) return;
      const facts = { ...nodeFacts, dataEndpoint: `192.0.2.${next.endpoint}:7070` };
      tx.put({ ...node, status: { ...node.status, facts, networks: next.carries ? [network.metadata.id] : [] } });
      return;
    }
    const name = `web${next.instance}`;
    const key = { project: "shop", name };
    const [instance, volume] = [tx.get("Instance", key), tx.get("Volume", key)];
    if (next.of !== "volume") {
      if (!next.gone) tx.put(instanceLike(next, name, instance, nodes));
      else if (instance !== undefined) tx.delete("Instance", instance.metadata.id);
    }
    if (next.of !== "instance") {
      if (!next.gone) tx.put(volumeLike(next, name, volume, nodes));
      else if (volume !== undefined) tx.delete("Volume", volume.metadata.id);
    }
  });
}

type Situation = Extract<Change, { instance: number }>;

function place(nodes: readonly NodeResource[], index: number | undefined) {
  const node = index === undefined ? undefined : nodes[index];
  return node === undefined ? undefined : { node: node.metadata.name, nodeId: node.metadata.id };
}

function metadataLike(prefix: string, name: string) {
  const at = new Date(startMs).toISOString();
  const id = contextAt(startMs).makeId(prefix);
  return { name, project: "shop", id, revision: 0, generation: 1, labels: {}, createdAt: at, updatedAt: at };
}

function assignmentLike(next: Situation, nodes: readonly NodeResource[]) {
  const owner = place(nodes, next.owner) ?? { node: "none", nodeId: "nod_none" };
  // What is offered is there.
  const removal = next.removed && !next.offered ? { removal: { since: 0, done: true } } : {};
  return { ...owner, epoch: 1, since: new Date(startMs).toISOString(), reason: "", ...removal };
}

function instanceLike(
  next: Situation,
  name: string,
  before: InstanceResource | undefined,
  nodes: readonly NodeResource[],
): InstanceResource {
  const [movingTo, former] = [place(nodes, next.target), place(nodes, next.former)];
  return {
    kind: "Instance",
    metadata: before?.metadata ?? metadataLike("ins", name),
    spec: { ...instanceSpec, networks: next.networks },
    assignment: {
      ...assignmentLike(next, nodes),
      ...(movingTo === undefined ? {} : { movingTo }),
      ...(former === undefined ? {} : { former: [{ ...former, epoch: 1, since: 0 }] }),
      ...(next.held ? { heldBy: contextAt(startMs).makeId("opr") } : {}),
    },
    status: { state: "pending", health: "unknown", addresses: [], conditions: [] },
  };
}

function volumeLike(
  next: Situation,
  name: string,
  before: VolumeResource | undefined,
  nodes: readonly NodeResource[],
): VolumeResource {
  const copy = place(nodes, next.copy);
  return {
    kind: "Volume",
    metadata: before?.metadata ?? metadataLike("vol", name),
    spec: { sizeMiB: 64, image: "islet", instance: name },
    assignment: {
      ...assignmentLike(next, nodes),
      ...(copy === undefined ? {} : { copies: [{ ...copy, epoch: 2, purpose: "import" as const, since: 0 }] }),
      ...(copy !== undefined && next.offered ? { offeredTo: { nodeId: copy.nodeId, ticket: "t" } } : {}),
    },
    status: { state: "absent", conditions: [] },
  };
}
