import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { makeId, kinds, type InstanceResource, type ResourceOf, type VolumeResource } from "@skerry/model";
import { openSqliteStore, type Store, type Transaction, type View } from "@skerry/store";
import { seed } from "@skerry/testkit/seed";
import { makeDraft } from "../../src/api/draft.ts";
import { UsageBook } from "../../src/controllers/quotas/usage-book.ts";
import { memoryFolder } from "../fakes/scratch-store.ts";
import { countedOfOrganisation, countedUsage } from "./usage-count.ts";

const runs = Number(process.env["SKERRY_TEST_RUNS"] ?? 12);

const projects = ["p1", "p2", "p3"] as const;
const organisations = ["o1", "o2"] as const;
const names = ["a", "b", "c"] as const;

type Change =
  | { readonly kind: "project"; readonly project: string; readonly organisation: string | undefined }
  | { readonly kind: "organisation"; readonly organisation: string; readonly there: boolean }
  | {
      readonly kind: "instance" | "volume";
      readonly project: string;
      readonly name: string;
      /** Undefined: it goes. */
      readonly size: number | undefined;
      readonly addresses: number;
      /** As part of the change before, where that was of the same object. */
      readonly amend: boolean;
    };

type Event =
  | { readonly kind: "transaction"; readonly changes: readonly Change[]; readonly fails: boolean }
  | { readonly kind: "reopen" };

const change: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("project" as const),
      project: fc.constantFrom(...projects),
      organisation: fc.option(fc.constantFrom(...organisations), { nil: undefined }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("organisation" as const),
      organisation: fc.constantFrom(...organisations),
      there: fc.boolean(),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom("instance" as const, "volume" as const),
      project: fc.constantFrom(...projects),
      name: fc.constantFrom(...names),
      size: fc.option(fc.integer({ min: 1, max: 1000 }), { nil: undefined, freq: 3 }),
      addresses: fc.nat({ max: 3 }),
      amend: fc.boolean(),
    }),
  },
);
const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.record({
      kind: fc.constant("transaction" as const),
      changes: fc.array(change, { minLength: 1, maxLength: 6 }),
      fails: fc.nat({ max: 3 }).map((number) => number === 0),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "reopen" as const }) },
);

let serial = 0;
function draft<K extends "Project" | "Organisation" | "Instance" | "Volume">(
  kind: K,
  key: { readonly name: string; readonly project?: string },
  spec: ResourceOf<K>["spec"],
  status: ResourceOf<K>["status"],
): ResourceOf<K> {
  const random = new Uint8Array(10);
  new DataView(random.buffer).setUint32(6, ++serial);
  return makeDraft(kind, makeId(kinds[kind].prefix, 0, random), key, { spec, status, labels: {} }, 0);
}

function apply(tx: Transaction, wanted: Change): void {
  if (wanted.kind === "organisation" || wanted.kind === "project") {
    const kind = wanted.kind === "project" ? ("Project" as const) : ("Organisation" as const);
    const name = wanted.kind === "project" ? wanted.project : wanted.organisation;
    const found = tx.get(kind, { name });
    const isThere = wanted.kind === "project" ? wanted.organisation !== undefined : wanted.there;
    if (!isThere) {
      if (found !== undefined) tx.delete(kind, found.metadata.id);
      return;
    }
    const spec = wanted.kind === "project" ? { organisation: wanted.organisation ?? "" } : {};
    tx.put({ ...(found ?? draft(kind, { name }, spec as ResourceOf<typeof kind>["spec"], {})), spec } as never);
    return;
  }
  const { project, name, size, addresses, amend } = wanted;
  const kind = wanted.kind === "instance" ? ("Instance" as const) : ("Volume" as const);
  const found = tx.get(kind, { project, name });
  if (size === undefined) {
    if (found !== undefined) tx.delete(kind, found.metadata.id);
    return;
  }
  const next: InstanceResource | VolumeResource =
    kind === "Volume"
      ? {
          ...((found as VolumeResource | undefined) ??
            draft(kind, { project, name }, { sizeMiB: size }, { state: "ready", conditions: [] })),
          // A volume that is not called as its instance, or has lost it, counts as well.
          spec: size % 2 === 0 ? { sizeMiB: size } : { sizeMiB: size, instance: name },
        }
      : instanceOf(found as InstanceResource | undefined, project, name, size, addresses);
  if (amend) tx.amend(next);
  else tx.put(next);
}

function instanceOf(
  found: InstanceResource | undefined,
  project: string,
  name: string,
  size: number,
  addresses: number,
): InstanceResource {
  const held = Array.from({ length: addresses }, (_, index) => ({
    ...{ network: `n${index}`, address: `10.0.0.${index + 1}`, mac: "02:54:00:00:00:01" },
  }));
  const status: InstanceResource["status"] = { state: "running", health: "unknown", addresses: held, conditions: [] };
  const networks = held.map(({ network }) => network);
  const devices = size % 3 === 0 ? { devices: [{ kind: "gpu" as const, count: size }] } : {};
  const spec = { vcpus: size, memoryMiB: size * 32, image: "islet", networks, ...devices };
  return { ...(found ?? draft("Instance", { project, name }, spec, status)), spec, status };
}

function check(view: View, book: UsageBook): void {
  const used = book.in(view);
  for (const name of projects)
    assert.deepEqual(
      used.ofProject(name),
      countedUsage(view, (project) => project === name),
      `what ${name} has`,
    );
  for (const name of organisations)
    assert.deepEqual(used.ofOrganisation(name), countedOfOrganisation(view, name), `what ${name} has`);
}

class Undone extends Error {}

describe("what projects and organisations have", () => {
  test("equals a new count after each step of any transaction, durable, in flight, undone or opened anew", async (t) => {
    t.diagnostic(`seed ${seed}, ${runs} runs (SKERRY_TEST_SEED, SKERRY_TEST_RUNS)`);
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 1, maxLength: 25 }), async (happenings) => {
        const directory = await mkdtemp(join(memoryFolder, "skerry-usage-"));
        const path = join(directory, "state.db");
        let store: Store = await openSqliteStore({ path });
        let book = new UsageBook(store);
        try {
          let flying: Promise<unknown>[] = [];
          for (const happening of happenings) {
            if (happening.kind === "reopen") {
              await Promise.all(flying);
              flying = [];
              await store.close();
              store = await openSqliteStore({ path });
              book = new UsageBook(store);
              check(store, book);
              continue;
            }
            const { changes, fails } = happening;
            const outcome = store.transact((tx) => {
              check(tx, book);
              for (const each of changes) {
                apply(tx, each);
                check(tx, book);
              }
              if (fails) throw new Undone();
            });
            flying.push(
              outcome.catch((error: unknown) => {
                if (!(error instanceof Undone)) throw error;
              }),
            );
          }
          await Promise.all(flying);
          check(store, book);
          const anew = new UsageBook(store);
          check(store, anew);
        } finally {
          await store.close();
          await rm(directory, { recursive: true });
        }
      }),
      { numRuns: runs, seed },
    );
  });
});
