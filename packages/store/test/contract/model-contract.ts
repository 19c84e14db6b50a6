import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SkerryError } from "@skerry/model";
import type { InstanceResource } from "@skerry/model";
import type { Store, Transaction } from "@skerry/store";
import "@skerry/testkit/seed";
import { follow } from "./feed-contract.ts";
import type { Backend } from "./place.ts";
import { instance } from "./samples.ts";

type Action =
  | {
      readonly do: "put";
      readonly serial: number;
      readonly name: string;
      readonly project: string;
      readonly vcpus: number;
    }
  | { readonly do: "delete"; readonly serial: number }
  | { readonly do: "throw" };

/** One transaction's actions, and what happens after it was started. */
interface Step {
  readonly actions: readonly Action[];
  readonly after: "go on" | "wait" | "reopen";
}

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("put" as const),
      serial: fc.nat(7),
      name: fc.constantFrom("a", "b", "c", "d-1", "d"),
      project: fc.constantFrom("p", "p-2", "q"),
      vcpus: fc.integer({ min: 1, max: 9 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("delete" as const), serial: fc.nat(7) }) },
  { weight: 1, arbitrary: fc.constant({ do: "throw" as const }) },
);
const step: fc.Arbitrary<Step> = fc.record({
  actions: fc.array(action, { maxLength: 5 }),
  after: fc.oneof(
    { weight: 12, arbitrary: fc.constant("go on" as const) },
    { weight: 3, arbitrary: fc.constant("wait" as const) },
    { weight: 1, arbitrary: fc.constant("reopen" as const) },
  ),
});

function objectOf(put: Action & { do: "put" }): InstanceResource {
  const blank = instance(put.serial, put.name, put.project);
  return { ...blank, spec: { ...blank.spec, vcpus: put.vcpus } };
}

const thrown = new RangeError("thrown on purpose");

function perform(tx: Transaction, actions: readonly Action[]): void {
  for (const action of actions) {
    if (action.do === "put") tx.put(objectOf(action));
    else if (action.do === "delete") tx.delete("Instance", instance(action.serial, "").metadata.id);
    else throw thrown;
  }
}

/** The plainest store that can be thought of: one row per object, as text. */
class NaiveStore {
  rows: readonly { id: string; place: string; vcpus: number }[] = [];
  revision = 0;

  /** The outcome of a transaction: "ok" or why it is refused. */
  perform(actions: readonly Action[]): string {
    let { rows, revision } = this;
    for (const action of actions) {
      if (action.do === "throw") return "thrown";
      const { id } = instance(action.serial, "").metadata;
      const others = rows.filter((row) => row.id !== id);
      if (action.do === "put") {
        const place = `${action.project} ${action.name}`;
        if (others.some((row) => row.place === place)) return "already-exists";
        rows = [...others, { id, place, vcpus: action.vcpus }];
        revision++;
      } else if (others.length < rows.length) {
        rows = others;
        revision++;
      }
    }
    this.rows = rows;
    this.revision = revision;
    return "ok";
  }

  list(): unknown[] {
    return [...this.rows]
      .sort((a, b) => (a.place < b.place ? -1 : 1))
      .map(({ id, place, vcpus }) => [id, place, vcpus]);
  }
}

function listed(store: Store): unknown[] {
  return store
    .list("Instance")
    .map(({ metadata, spec }) => [metadata.id, `${metadata.project} ${metadata.name}`, spec.vcpus]);
}

function codeOf(error: unknown): string {
  if (error === thrown) return "thrown";
  return error instanceof SkerryError ? error.code : String(error);
}

/** Puts a store together again from its feed alone. */
async function replay(store: Store): Promise<unknown[]> {
  const objects = new Map<string, InstanceResource>();
  for (const { kind, type, id, object } of await follow(store, 0, store.revision)) {
    assert.equal(kind, "Instance");
    assert.equal(objects.has(id), type !== "created", `${type} ${id}`);
    if (type === "deleted") {
      assert.deepEqual(object, objects.get(id));
      objects.delete(id);
    } else if (object.kind === "Instance") objects.set(id, object);
  }
  return [...objects.values()].map(({ metadata }) => metadata.id).sort();
}

/** Random transactions against a naive model. */
export function modelContract(backend: Backend): void {
  describe("against a naive model", () => {
    test("any transactions, in flight together and across restarts, give its outcomes and its state", async () => {
      const property = fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const place = await backend.makePlace();
        const model = new NaiveStore();
        let store = await place.open();
        try {
          let outcomes: Promise<string>[] = [];
          let expected: string[] = [];
          const settle = async (): Promise<void> => {
            assert.deepEqual(await Promise.all(outcomes), expected);
            assert.deepEqual(listed(store), model.list());
            assert.equal(store.revision, model.revision);
            outcomes = [];
            expected = [];
          };
          for (const { actions, after } of steps) {
            outcomes.push(store.transact((tx) => perform(tx, actions)).then(() => "ok", codeOf));
            expected.push(model.perform(actions));
            const seen = store.rehearse((tx) => tx.list("Instance").map((object) => object.spec.vcpus)).result;
            assert.deepEqual(
              seen,
              model.list().map((row) => (row as unknown[])[2]),
            );
            if (after !== "go on") await settle();
            if (after === "reopen") {
              await store.close();
              store = await place.open();
            }
          }
          await settle();
          assert.deepEqual(await replay(store), model.rows.map((row) => row.id).sort());
        } finally {
          await store.close();
          await place.dispose();
        }
      });
      // The limit ends the search for a smaller failing example, which takes a store for each try; all runs take a fortieth of it.
      await fc.assert(property, { numRuns: 20, interruptAfterTimeLimit: 300_000, markInterruptAsFailure: true });
    });
  });
}
