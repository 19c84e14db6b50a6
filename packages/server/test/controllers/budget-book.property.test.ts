import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { DisruptionBudgetResource, InstanceResource, NodeResource } from "@skerry/model";
import type { Transaction, View } from "@skerry/store";
import { seed } from "@skerry/testkit/seed";
import { BudgetBook } from "../../src/controllers/disruption/budget-book.ts";
import { talliesOf } from "../../src/controllers/disruption/budget-guard.ts";
import { memoryFolder, openScratchStore } from "../fakes/scratch-store.ts";

const at = "2026-01-01T00:00:00.000Z";
const stamps = { revision: 0, generation: 1, createdAt: at, updatedAt: at };

const serial = fc.nat(5);
const labels = fc.constantFrom<Record<string, string>>({}, { app: "db" }, { app: "web" }, { app: "db", tier: "x" });
const put = fc.record({
  do: fc.constant("put" as const),
  serial,
  labels,
  node: fc.constantFrom(undefined, "a", "b"),
  state: fc.constantFrom("running" as const, "pending" as const),
  power: fc.constantFrom("running" as const, "stopped" as const),
  moving: fc.boolean(),
});
const budget = fc.record({
  do: fc.constant("budget" as const),
  serial: fc.nat(2),
  selector: fc.constantFrom(undefined, { app: "db" }, { tier: "x" }),
  maxUnavailable: fc.nat(3),
});
const node = fc.record({ do: fc.constant("node" as const), name: fc.constantFrom("a", "b"), connected: fc.boolean() });
const drop = fc.record({
  do: fc.constant("drop" as const),
  kind: fc.constantFrom("Instance" as const, "DisruptionBudget" as const, "Node" as const),
  serial,
});
const change = fc.oneof(
  { weight: 6, arbitrary: put },
  { weight: 1, arbitrary: budget },
  { weight: 2, arbitrary: node },
  { weight: 1, arbitrary: drop },
);
type Put = typeof put extends fc.Arbitrary<infer T> ? T : never;
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;
const projectOf = (number: number) => (number % 3 === 0 ? "q" : "p");

function instanceOf({ serial: number, labels: own, node: where, state, power, moving }: Put): InstanceResource {
  const place = { node: where ?? "", nodeId: `nod_${where}`, epoch: 1, since: at, reason: "" };
  const movingTo = moving ? { movingTo: { node: "c", nodeId: "nod_c" } } : {};
  return {
    kind: "Instance",
    metadata: { ...stamps, name: `i-${number}`, project: projectOf(number), id: `ins_${number}`, labels: own },
    spec: { vcpus: 1, memoryMiB: 64, image: "x", power },
    ...(where === undefined ? {} : { assignment: { ...place, ...movingTo } }),
    status: { state, health: "unknown", addresses: [], conditions: [] },
  };
}

function nodeOf(name: string, connected: boolean): NodeResource {
  return {
    kind: "Node",
    metadata: { ...stamps, name, id: `nod_${name}`, labels: {} },
    spec: { site: "madrid" },
    status: { connected, conditions: [] },
  };
}

function budgetOf(
  number: number,
  selector: Record<string, string> | undefined,
  maxUnavailable: number,
): DisruptionBudgetResource {
  return {
    kind: "DisruptionBudget",
    metadata: { ...stamps, name: `b-${number}`, project: projectOf(number), id: `dbu_${number}`, labels: {} },
    spec: { maxUnavailable, ...(selector === undefined ? {} : { selector }) },
    status: {},
  };
}

function make(tx: Transaction, one: Change): void {
  if (one.do === "put") tx.put(instanceOf(one));
  else if (one.do === "node") tx.put(nodeOf(one.name, one.connected));
  else if (one.do === "budget") tx.put(budgetOf(one.serial, one.selector, one.maxUnavailable));
  else if (one.kind === "Instance") tx.delete("Instance", `ins_${one.serial}`);
  else if (one.kind === "Node") tx.delete("Node", one.serial % 2 === 0 ? "nod_a" : "nod_b");
  else tx.delete("DisruptionBudget", `dbu_${one.serial % 3}`);
}

test("budgets have what a look at all instances finds, in transactions and after them, whatever has changed", async (t) => {
  t.diagnostic(`seed ${seed} (SKERRY_TEST_SEED)`);
  let found = 0;
  for (const changes of fc.sample(fc.array(change, { minLength: 20, maxLength: 60 }), { numRuns: 8, seed })) {
    await using scratch = await openScratchStore(Date.now, memoryFolder);
    const { store } = scratch;
    const book = new BudgetBook(store, 3);
    const look = (view: View): void => {
      for (const project of ["p", "q"]) {
        const tallies = book.in(view, project);
        assert.deepEqual(tallies, talliesOf(view, project));
        found += tallies.reduce((sum, { unavailable }) => sum + unavailable, 0);
      }
    };
    await store.transact((tx) => {
      tx.put(budgetOf(1, { app: "db" }, 1));
      for (const name of ["a", "b"]) tx.put(nodeOf(name, true));
    });
    for (const [index, one] of changes.entries()) {
      if (index % 5 === 0)
        store.rehearse((tx) => {
          for (const next of changes.slice(index, index + 5)) {
            make(tx, next);
            look(tx);
          }
        });
      await store.transact((tx) => make(tx, one));
      look(store);
    }
    book.close();
  }
  assert.ok(found > 100, `${found}`);
});

test("a project's instances are looked at once, whatever changes, and not kept when others were asked for since", async (t) => {
  await using scratch = await openScratchStore(Date.now, memoryFolder);
  const { store } = scratch;
  const one: Put = { do: "put", serial: 1, labels: {}, node: "a", state: "running", power: "running", moving: false };
  await store.transact((tx) => {
    tx.put(nodeOf("a", true));
    for (const number of [0, 1, 2]) tx.put(budgetOf(number, undefined, 1));
    for (const number of [0, 1, 2, 3]) tx.put(instanceOf({ ...one, serial: number }));
  });
  const book = new BudgetBook(store, 2);
  const looks: unknown[] = [];
  store.track({
    reset(newest) {
      const list = newest.list.bind(newest);
      t.mock.method(newest, "list", (...asked: Parameters<View["list"]>) => {
        if (asked[0] === "Instance") looks.push(asked[1]);
        return list(...asked);
      });
    },
    applied: () => undefined,
  });
  const shown = () => {
    const { status } = book.counted(store.get("DisruptionBudget", { project: "p", name: "b-1" }) ?? assert.fail());
    return [status.instances, status.unavailable, status.allowed];
  };
  assert.deepEqual(shown(), [2, 0, 1]);
  await store.transact((tx) => tx.put(instanceOf({ ...one, state: "pending" })));
  assert.deepEqual(shown(), [2, 1, 0]);
  await store.transact((tx) => tx.put(nodeOf("a", false)));
  assert.deepEqual(shown(), [2, 2, 0]);
  await store.transact((tx) => tx.put(budgetOf(1, undefined, 3)));
  assert.deepEqual(shown(), [2, 2, 1]);
  assert.deepEqual([looks, book.size], [["p"], 2]);
  book.in(store, "q");
  assert.deepEqual([looks, book.size], [["p", "q"], 2]);
  book.close();
});
