import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { InstanceResource } from "@skerry/model";
import type { Transaction, View } from "@skerry/store";
import { seed } from "@skerry/testkit/seed";
import { AffinityBook } from "../../src/controllers/affinity-book.ts";
import { hasAll } from "../../src/controllers/project-peers.ts";
import { memoryFolder, openScratchStore } from "../fakes/scratch-store.ts";

type Ask = NonNullable<NonNullable<InstanceResource["spec"]["placement"]>["affinity"]>[number];

interface Put {
  readonly do: "put";
  readonly serial: number;
  readonly project: string;
  readonly node: string | undefined;
  readonly moving: boolean;
  readonly labels: Record<string, string>;
  readonly asks: readonly (Omit<Ask, "weight"> & { readonly soft: boolean })[];
}
type Change = Put | { readonly do: "drop"; readonly serial: number } | { readonly do: "rehearse" };

const labels = fc.constantFrom<Record<string, string>>({}, { app: "db" }, { app: "web" }, { app: "db", tier: "x" });
const ask = fc.record({
  relation: fc.constantFrom("with" as const, "apart" as const),
  by: fc.constantFrom("node" as const, "site" as const),
  labels: fc.constantFrom<Record<string, string>>({ app: "db" }, { tier: "x" }, { app: "web" }),
  soft: fc.boolean(),
});
const change: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("put" as const),
      serial: fc.nat(7),
      project: fc.constantFrom("p", "q"),
      node: fc.option(fc.constantFrom("n-1", "n-2", "n-3"), { nil: undefined }),
      moving: fc.boolean(),
      labels,
      asks: fc.array(ask, { maxLength: 2 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("drop" as const), serial: fc.nat(7) }) },
  { weight: 1, arbitrary: fc.constant({ do: "rehearse" as const }) },
);

function instanceOf({ serial, project, node, moving, labels: own, asks }: Put): InstanceResource {
  const at = "2026-01-01T00:00:00.000Z";
  const affinity = asks.map(({ soft, ...term }): Ask => ({ ...term, ...(soft ? { weight: 1 } : {}) }));
  const place = { node: node ?? "", nodeId: `nod_${node}`, epoch: 1, since: at, reason: "" };
  return {
    kind: "Instance",
    metadata: {
      ...{ name: `i-${serial}`, project: serial % 2 === 0 ? project : "p", id: `ins_${serial}` },
      ...{ revision: 0, generation: 1, labels: own, createdAt: at, updatedAt: at },
    },
    spec: { vcpus: 1, memoryMiB: 64, image: "x", ...(affinity.length === 0 ? {} : { placement: { affinity } }) },
    ...(node === undefined
      ? {}
      : { assignment: { ...place, ...(moving ? { movingTo: { node: "n-9", nodeId: "nod_9" } } : {}) } }),
    status: { state: "pending", health: "unknown", addresses: [], conditions: [] },
  };
}

/** By a look at every instance. */
function expected(view: View, project: string, id: string, own: Record<string, string>, asks: readonly Ask[]): unknown {
  const others = view.list("Instance", project).filter(({ metadata }) => metadata.id !== id);
  const nodesOf = ({ assignment }: InstanceResource): string[] =>
    assignment === undefined
      ? []
      : [assignment.node, ...(assignment.movingTo === undefined ? [] : [assignment.movingTo.node])];
  const terms = asks.map(({ labels: wanted, ...term }) => ({
    ...term,
    nodes: others.filter(({ metadata }) => hasAll(metadata.labels, wanted)).flatMap(nodesOf),
  }));
  const theirs = others.flatMap((other) =>
    (other.spec.placement?.affinity ?? []).flatMap(({ relation, by, labels: wanted, weight }) =>
      relation === "apart" && weight === undefined && hasAll(own, wanted)
        ? [{ relation, by, nodes: nodesOf(other) }]
        : [],
    ),
  );
  return [
    sorted(terms),
    sorted(theirs)
      .map((term) => JSON.stringify(term))
      .sort(),
  ];
}

function sorted<T extends { readonly nodes: readonly string[] }>(terms: readonly T[]): T[] {
  return terms.map((term) => ({ ...term, nodes: term.nodes.toSorted() }));
}

test("peers are those that a look at all instances finds, in transactions and after them, whatever has changed", async (t) => {
  t.diagnostic(`seed ${seed} (SKERRY_TEST_SEED)`);
  let found = 0;
  for (const changes of fc.sample(fc.array(change, { minLength: 20, maxLength: 60 }), { numRuns: 6, seed })) {
    await using scratch = await openScratchStore(Date.now, memoryFolder);
    const { store } = scratch;
    let book = new AffinityBook(store);
    const asks: Ask[] = [
      { relation: "with", by: "site", labels: { app: "db" } },
      { relation: "apart", by: "node", labels: { tier: "x" }, weight: 2 },
    ];
    const look = (view: View & Partial<Transaction>): void => {
      for (const project of ["p", "q"])
        for (const own of [{}, { app: "db" }, { app: "db", tier: "x" }]) {
          for (const placement of [undefined, { affinity: asks }]) {
            const asking = { project, labels: own, ...(placement === undefined ? {} : { placement }) };
            const terms = book.termsFor(view, asking, new Set(["ins_3"]));
            const count = placement === undefined ? 0 : asks.length;
            const [mine, theirs] = [sorted(terms.slice(0, count)), sorted(terms.slice(count))];
            found += theirs.length;
            assert.deepEqual(
              [mine, theirs.map((term) => JSON.stringify(term)).sort()],
              expected(view, project, "ins_3", own, placement === undefined ? [] : asks),
            );
          }
        }
    };
    const make = (tx: Transaction, one: Change): void => {
      if (one.do === "put") {
        const made = instanceOf(one);
        const known = tx.getById("Instance", made.metadata.id);
        if (known !== undefined && known.metadata.project !== made.metadata.project)
          tx.delete("Instance", known.metadata.id);
        else tx.put(made);
      } else if (one.do === "drop") tx.delete("Instance", `ins_${one.serial}`);
    };
    for (const [index, one] of changes.entries()) {
      if (one.do === "rehearse")
        store.rehearse((tx) => {
          for (const next of changes.slice(index + 1, index + 6)) {
            make(tx, next);
            look(tx);
          }
        });
      else await store.transact((tx) => make(tx, one));
      look(store);
      if (index === changes.length - 5) {
        // One that begins now knows as much.
        book.close();
        book = new AffinityBook(store);
        look(store);
      }
    }
    book.close();
  }
  assert.ok(found > 20, `${found}`);
});

const plain: Put = {
  ...{ do: "put", serial: 1, project: "p", node: "n-1", moving: false, labels: { app: "db", tier: "x" }, asks: [] },
};
const askingFor = (project: string, count: number) => ({
  project,
  labels: {},
  placement: {
    affinity: Array.from({ length: count }, (_, serial): Ask => {
      return { relation: "with", by: "site", labels: { app: "db", [`no-${serial}`]: "x" } };
    }),
  },
});

test("whatever labels are asked for, a project's instances are looked at once", async (t) => {
  await using scratch = await openScratchStore(Date.now, memoryFolder);
  const { store } = scratch;
  await store.transact((tx) => {
    for (const serial of [0, 1, 2]) tx.put(instanceOf({ ...plain, serial }));
  });
  const book = new AffinityBook(store);
  const looks: unknown[] = [];
  store.track({
    reset(newest) {
      const list = newest.list.bind(newest);
      t.mock.method(newest, "list", (...asked: Parameters<View["list"]>) => {
        looks.push(asked);
        return list(...asked);
      });
    },
    applied: () => undefined,
  });
  for (const count of [1, 16, 400]) book.termsFor(store, askingFor("p", count), new Set());
  assert.deepEqual(looks, [["Instance", "p"]]);
  book.close();
});

test("what is not there any more, or was asked for long ago, is not kept", async () => {
  await using scratch = await openScratchStore(Date.now, memoryFolder);
  const { store } = scratch;
  const apart = { relation: "apart", by: "node", labels: { app: "db" }, soft: false } as const;
  await store.transact((tx) => {
    for (const serial of [0, 2, 4, 6])
      tx.put(instanceOf({ ...plain, serial, project: `p-${serial}`, asks: serial === 0 ? [apart] : [] }));
  });
  const book = new AffinityBook(store, 2);
  assert.deepEqual(book.size, { projects: 1, instances: 0 });
  for (const serial of [2, 4, 2, 6]) book.termsFor(store, askingFor(`p-${serial}`, 1), new Set());
  assert.deepEqual(book.size, { projects: 3, instances: 2 });
  await store.transact((tx) => {
    for (const serial of [0, 2, 4]) tx.delete("Instance", `ins_${serial}`);
  });
  assert.deepEqual(book.size, { projects: 1, instances: 1 });
  book.termsFor(store, askingFor("nothing", 1), new Set());
  book.close();
});
