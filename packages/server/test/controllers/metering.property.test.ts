import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SkerryError, type InstanceResource, type KindName, type ResourceOf } from "@skerry/model";
import type { ChangeEvent, Store, Transaction } from "@skerry/store";
import { seed } from "@skerry/testkit/seed";
import type { SiteAmounts } from "../../src/controllers/metering/amounts.ts";
import { spanOfMonth } from "../../src/controllers/metering/month.ts";
import { millionths, reportOf, usageLines, usageOfProject } from "../../src/controllers/metering/usage-report.ts";
import { SpendBook } from "../../src/controllers/quotas/spend-book.ts";
import { empty, useScratchStore } from "../fakes/scratch-store.ts";
import { ModelFleet } from "./model-fleet.ts";
import { act, contextAt, create, instanceSpec, nodeFacts, seedZone, update } from "./zone-fixture.ts";

const runs = Number(process.env["SKERRY_TEST_RUNS"] ?? 4);

const hourMs = 3_600_000;
const names = ["ant", "bee", "cat", "dog"] as const;
const nodeNames = ["mad-1", "par-1", "ath-1"] as const;

type Event =
  | {
      readonly do: "create";
      readonly name: string;
      readonly vcpus: number;
      readonly networks: string[];
      readonly gpus: number;
    }
  | { readonly do: "delete" | "stop" | "start"; readonly name: string }
  | { readonly do: "resize"; readonly name: string; readonly vcpus: number; readonly diskMiB: number }
  | { readonly do: "move"; readonly name: string; readonly toNode: string }
  | { readonly do: "relocate"; readonly node: string; readonly site: string }
  /** The server dies at its next transaction but so many, just before or after it is durable. */
  | { readonly do: "kill"; readonly transaction: number; readonly when: "before" | "after" }
  | { readonly do: "calm" | "restart" }
  | { readonly do: "wait"; readonly hours: number };

const gpus = ["0000:01:00.0", "0000:41:00.0", "0000:81:00.0", "0000:c1:00.0"].map((address, iommuGroup) => ({
  ...{ kind: "gpu" as const, model: "10de:20b0", address, iommuGroup },
}));

const name = fc.constantFrom(...names);
const calm: Event = { do: "calm" };
const create1 = fc.record({
  do: fc.constant("create" as const),
  name,
  vcpus: fc.integer({ min: 1, max: 3 }),
  networks: fc.constantFrom<string[]>(["lan"], []),
  gpus: fc.constantFrom(0, 0, 1, 2),
});
const wait = fc.record({ do: fc.constant("wait" as const), hours: fc.integer({ min: 1, max: 400 }) });
const kill = fc.record({
  do: fc.constant("kill" as const),
  transaction: fc.nat({ max: 6 }),
  when: fc.constantFrom("before" as const, "after" as const),
});
/** After something was asked for: it comes true, or the server dies on the way. */
const after = fc.oneof({ weight: 4, arbitrary: fc.constant(calm) }, { weight: 1, arbitrary: kill });

const events: fc.Arbitrary<readonly Event[]> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(create1, after) },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.record({ do: fc.constantFrom("delete" as const, "start" as const), name }), after),
  },
  {
    weight: 4,
    arbitrary: fc
      .record({ name, vcpus: fc.integer({ min: 1, max: 4 }), diskMiB: fc.integer({ min: 64, max: 500 }) })
      .map((wish): Event[] => [{ do: "stop", name: wish.name }, calm, { do: "resize", ...wish }, calm]),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.record({ do: fc.constant("move" as const), name, toNode: fc.constantFrom(...nodeNames) }), after)
      .map(([move, then]): Event[] => [calm, move, then]),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({
        do: fc.constant("relocate" as const),
        node: fc.constantFrom(...nodeNames),
        site: fc.constantFrom("madrid", "paris"),
      })
      .map((one) => [one]),
  },
  { weight: 1, arbitrary: fc.constant([{ do: "restart" } as const, calm]) },
  { weight: 5, arbitrary: wait.map((one) => [one, calm]) },
);

interface Span {
  readonly site: string;
  readonly amounts: readonly [vcpus: number, memoryMiB: number, storageMiB: number, addresses: number, gpus: number];
  readonly fromMs: number;
  readonly untilMs: number;
}

/** What every object had from when to when, written down from the feed of changes and nothing else. */
class Record {
  readonly spans: Span[] = [];
  readonly #open = new Map<string, { readonly object: ResourceOf<KindName>; readonly fromMs: number }>();
  readonly #sites = new Map<string, string>();

  take(changes: readonly ChangeEvent[], nowMs: number): void {
    for (const { id, object, type } of changes) {
      if (object.kind === "Node") {
        // All that is on it was at its site until now.
        for (const [each, { object: there }] of [...this.#open])
          if (nodeOf(there) === id) this.#put(each, there, nowMs);
        this.#sites.set(id, object.spec.site);
      } else if (object.kind === "Instance" || object.kind === "Volume") {
        this.#put(id, type === "deleted" ? undefined : object, nowMs);
      }
    }
  }

  #put(id: string, object: ResourceOf<KindName> | undefined, nowMs: number): void {
    const before = this.#open.get(id);
    if (before !== undefined) this.spans.push(this.#span(before.object, before.fromMs, nowMs));
    this.#open.delete(id);
    if (object !== undefined) this.#open.set(id, { object, fromMs: nowMs });
  }

  #span(object: ResourceOf<KindName>, fromMs: number, untilMs: number): Span {
    const site = this.#sites.get(nodeOf(object) ?? "") ?? assert.fail("no site");
    if (object.kind === "Volume") return { site, amounts: [0, 0, object.spec.sizeMiB, 0, 0], fromMs, untilMs };
    if (object.kind !== "Instance") return assert.fail();
    const { spec, status } = object;
    const gpus = (spec.devices ?? []).reduce((sum, { count = 1 }) => sum + count, 0);
    return { site, amounts: [spec.vcpus, spec.memoryMiB, 0, status.addresses.length, gpus], fromMs, untilMs };
  }

  /** The sums of a month, by site; of the plainest kind. */
  sumsOf(month: string, nowMs: number): { readonly [site: string]: readonly string[] } {
    const start = Date.parse(`${month}-01T00:00:00Z`);
    const [year = 0, number = 0] = month.split("-").map(Number);
    const end = number === 12 ? Date.UTC(year + 1, 0, 1) : Date.UTC(year, number, 1);
    const open = [...this.#open.values()].map(({ object, fromMs }) => this.#span(object, fromMs, nowMs));
    const sums: { [site: string]: number[] } = {};
    for (const { site, amounts, fromMs, untilMs } of [...this.spans, ...open]) {
      const ms = Math.min(untilMs, end) - Math.max(fromMs, start);
      if (ms <= 0) continue;
      const sum = (sums[site] ??= [0, 0, 0, 0, 0]);
      for (const [index, amount] of amounts.entries()) sum[index] = (sum[index] ?? 0) + amount * ms;
    }
    return Object.fromEntries(Object.entries(sums).map(([site, sum]) => [site, sum.map(String)]));
  }
}

function nodeOf(object: ResourceOf<KindName>): string | undefined {
  return object.kind === "Instance" || object.kind === "Volume" ? object.assignment?.nodeId : undefined;
}

describe("metered usage", () => {
  let store: Store;
  let fleet: ModelFleet | undefined;
  useScratchStore(
    (opened) => (store = opened),
    () => nowOf(fleet),
  );

  test("equals what the recorded changes come to, to the millisecond, over months, moves, resizes, kills and restarts", async (t) => {
    t.diagnostic(`seed ${seed}, ${runs} runs (SKERRY_TEST_SEED, SKERRY_TEST_RUNS)`);
    const outcomes = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(fc.array(events, { minLength: 15, maxLength: 50 }), async (parts) => {
        const happenings = [
          ...names.map((one): Event => ({ do: "create", name: one, vcpus: 1, networks: ["lan"], gpus: 1 })),
          calm,
        ];
        await empty(store);
        fleet = new ModelFleet(store);
        fleet.facts = () => ({ ...nodeFacts, devices: [...gpus] });
        const record = new Record();
        const stop = store.subscribe((changes) => record.take(changes, nowOf(fleet)));
        const spend = new SpendBook(store);
        try {
          await fleet.startServer();
          await seedZone(store, fleet.controllers.intents, nowOf(fleet));
          await store.transact((tx) => setPrices(tx, nowOf(fleet)));
          fleet.addNodes();
          await fleet.calm();
          for (const happening of [...happenings, ...parts.flat()]) {
            const outcome = await happen(fleet, happening);
            outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
            if (happening.do === "wait") check(store, record, nowOf(fleet));
            checkSpend(store, spend, nowOf(fleet));
          }
          check(store, record, nowOf(fleet));
          await happen(fleet, { do: "restart" });
          for (const one of names) await happen(fleet, { do: "delete", name: one });
          await fleet.calm();
          await happen(fleet, { do: "wait", hours: 1000 });
          await fleet.calm();
          check(store, record, nowOf(fleet));
          checkSpend(store, spend, nowOf(fleet));
        } finally {
          stop();
          spend.close();
          fleet.killServer();
        }
      }),
      { numRuns: runs, seed },
    );
    t.diagnostic([...outcomes].map(([kind, times]) => `${kind}: ${times}`).join(", "));
  });
});

function nowOf(fleet: ModelFleet | undefined): number {
  return fleet === undefined ? 0 : fleet.clock.nowMs() + fleet.wallOffsetMs;
}

async function happen(fleet: ModelFleet, happening: Event): Promise<string> {
  switch (happening.do) {
    case "calm":
      await fleet.calm();
      return "calm";
    case "restart":
      fleet.killServer();
      await fleet.startServer();
      return "restart";
    case "kill":
      fleet.killServerAt(happening);
      await fleet.calm();
      await fleet.tick(60_000);
      await happen(fleet, { do: "restart" });
      return "kill";
    case "wait":
      // No beat of the nodes' is due by that, of which there would be thousands.
      fleet.wallOffsetMs += happening.hours * hourMs + 1234;
      await fleet.tick(1000);
      return "wait";
    default: {
      let outcome = "done";
      await fleet.store
        .transact((tx) => wish(tx, fleet, happening))
        .catch((error: unknown) => {
          if (!(error instanceof SkerryError)) throw error;
          outcome = error.code;
        });
      await fleet.settle();
      return `${happening.do} ${outcome}`;
    }
  }
}

function wish(
  tx: Transaction,
  fleet: ModelFleet,
  wanted: Extract<Event, { readonly do: "create" | "delete" | "stop" | "start" | "resize" | "move" | "relocate" }>,
): void {
  const { intents } = fleet.controllers;
  const nowMs = nowOf(fleet);
  if (wanted.do === "relocate") {
    const node = tx.get("Node", { name: wanted.node }) ?? assert.fail();
    update(tx, intents, node, { site: wanted.site }, nowMs);
    return;
  }
  if (wanted.do === "create") {
    const { name: of, vcpus, networks, gpus: count } = wanted;
    const devices = count === 0 ? {} : { devices: [{ kind: "gpu" as const, count }] };
    const spec = { ...instanceSpec, vcpus, networks, ...devices };
    create(tx, intents, "Instance", { name: of, project: "shop" }, spec, nowMs);
    return;
  }
  const instance: InstanceResource | undefined = tx.get("Instance", { project: "shop", name: wanted.name });
  if (instance === undefined) throw new SkerryError("not-found", "There is none.");
  switch (wanted.do) {
    case "delete":
      intents.Instance.remove(tx, instance, contextAt(nowMs));
      return;
    case "stop":
    case "start":
      act(tx, intents, instance, wanted.do, {}, nowMs);
      return;
    case "resize":
      update(tx, intents, instance, { vcpus: wanted.vcpus, diskMiB: wanted.diskMiB }, nowMs);
      return;
    case "move":
      act(tx, intents, instance, "migrate", { toNode: wanted.toNode }, nowMs);
      return;
  }
}

function check(store: Store, record: Record, nowMs: number): void {
  const project = store.get("Project", { name: "shop" })?.metadata ?? assert.fail();
  const first = record.spans.reduce((least, { fromMs }) => Math.min(least, fromMs), nowMs);
  const months = new Set<string>();
  for (let ms = first; ms <= nowMs; ms += 24 * hourMs) months.add(new Date(ms).toISOString().slice(0, 7));
  months.add(new Date(nowMs).toISOString().slice(0, 7));
  for (const month of months) {
    const reported = plain(usageOfProject(store, project, month, nowMs));
    assert.deepEqual(reported, record.sumsOf(month, nowMs), `what ${month} comes to`);
  }
}

const hour = {
  vcpuHour: "0.0123",
  memoryGiBHour: "0.0045",
  storageGiBMonth: "0.1",
  addressHour: "0.002",
  gpuHour: "0.7",
};

/** One site is dearer with time, another one has a currency of its own, and the third has no price at first. */
function setPrices(tx: Transaction, nowMs: number): void {
  const later = new Date(nowMs + 40 * 24 * hourMs).toISOString().slice(0, 7);
  const prices = {
    madrid: [
      { from: "1970-01", currency: "EUR", ...hour },
      { from: later, currency: "EUR", ...hour, vcpuHour: "1" },
    ],
    paris: [{ from: "1970-01", currency: "USD", ...hour }],
    athens: [{ from: later, currency: "EUR", ...hour }],
  };
  for (const [name, list] of Object.entries(prices)) {
    const site = tx.get("Site", { name }) ?? assert.fail(`no site ${name}`);
    tx.put({ ...site, spec: { ...site.spec, prices: list } });
  }
}

/** What a limit of spend counts is what the reports of this month and the next will say. */
function checkSpend(store: Store, book: SpendBook, nowMs: number): void {
  const project = store.get("Project", { name: "shop" })?.metadata ?? assert.fail();
  const month = new Date(nowMs).toISOString().slice(0, 7);
  const { endMs } = spanOfMonth(month);
  const next = new Date(endMs).toISOString().slice(0, 7);
  const totalsOf = (of: { readonly name: string; readonly id: string }, asked: string) => {
    const atEndMs = spanOfMonth(asked).endMs;
    const sites = usageOfProject(store, of, asked, atEndMs);
    const { totals } = reportOf(asked, atEndMs, usageLines(store, "shop", sites, asked));
    const sum = (isOwn: boolean): bigint =>
      totals.reduce((all, { currency, total }) => ((currency === "EUR") === isOwn ? all + millionths(total) : all), 0n);
    return { own: sum(true), others: sum(false) };
  };
  const expected = {
    thisMonth: totalsOf(project, month),
    // Without any meter: as if all had been there for the whole of it.
    nextMonth: totalsOf({ name: project.name, id: "prj_none" }, next),
  };
  for (const kind of ["Project", "Organisation"] as const) {
    const name = kind === "Project" ? "shop" : "acme";
    assert.deepEqual(book.of(kind, name, "EUR", store, nowMs), expected, `what ${kind} ${name} comes to in ${month}`);
  }
}

function plain(sites: SiteAmounts): { readonly [site: string]: readonly string[] } {
  return Object.fromEntries(
    sites
      .entries()
      .map(([site, { vcpuMs, memoryMiBMs, storageMiBMs, addressMs, gpuMs }]) => [
        site,
        [vcpuMs, memoryMiBMs, storageMiBMs, addressMs, gpuMs].map(String),
      ]),
  );
}
