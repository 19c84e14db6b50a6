import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { seed } from "@skerry/testkit/seed";
import { differences } from "../../src/api/difference.ts";
import type { Answer, Method } from "../api/api-harness.ts";
import { instanceSpec } from "../controllers/zone-fixture.ts";
import { startUndoZone, type Snapshot, type UndoZone } from "./undo-zone.ts";

const runs = Number(process.env["SKERRY_TEST_RUNS"] ?? 15);

interface Mutation {
  readonly method: Method;
  readonly path: string;
  readonly body?: object;
  readonly type?: string;
}

const shop = "/projects/shop";
const label = fc.constantFrom("1", "2", null);
const labels = fc.record({ a: label, b: label }, { requiredKeys: [] });
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });

function patchOf(paths: readonly string[], spec: fc.Arbitrary<object>): fc.Arbitrary<Mutation> {
  return fc.record({ path: fc.constantFrom(...paths), labels, spec }).map(({ path, labels: own, spec: change }) => ({
    method: "PATCH",
    path,
    body: { metadata: { labels: own }, spec: change },
  }));
}

function lifeOf(paths: readonly string[], spec: fc.Arbitrary<object>): fc.Arbitrary<Mutation> {
  return fc
    .record({ path: fc.constantFrom(...paths), spec, gone: fc.boolean() })
    .map(({ path, spec: made, gone }) =>
      gone
        ? { method: "DELETE", path }
        : { method: "PUT", path, body: { spec: made, metadata: { labels: { made: "1" } } } },
    );
}

const networks = [`${shop}/networks/one`, `${shop}/networks/two`];
const briefs = ["/projects/brief/networks/one"];
const instances = [`${shop}/instances/web`, `${shop}/instances/db`];
const cidr = fc.constantFrom("10.50.0.0/24", "10.51.0.0/24", "10.52.0.0/24");
const placement = fc.record(
  { countries: fc.constantFrom(["ES", "FR"], ["ES", "FR", "GR"]), labels: fc.constantFrom({}, { zone: "a" }) },
  { requiredKeys: [] },
);

/** What can be taken back, of kinds that stand on each other; much of it is refused, as it is when people try. */
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  { weight: 2, arbitrary: lifeOf(networks, fc.record({ cidr, egress: fc.boolean() })) },
  { weight: 2, arbitrary: patchOf(networks, fc.record({ cidr, egress: maybe(fc.boolean()) }, { requiredKeys: [] })) },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom(...instances)
      .map((path): Mutation => ({ method: "PUT", path, body: { spec: instanceSpec } })),
  },
  {
    weight: 5,
    arbitrary: patchOf(
      instances,
      fc
        .record(
          {
            vcpus: fc.constantFrom(1, 2),
            power: fc.constantFrom("running", "stopped", null),
            healthCheck: maybe(fc.record({ kind: fc.constant("http"), port: fc.constantFrom(80, 81) })),
            placement: maybe(placement),
            onDisconnect: fc.constantFrom("keep", { replaceAfterSeconds: 60 }, null),
          },
          { requiredKeys: [] },
        )
        .map(({ power, ...spec }) =>
          // Resized and started in one, it has to be stopped before that can be taken back: the answer says so.
          power === undefined || (spec.vcpus !== undefined && power !== "stopped") ? spec : { ...spec, power },
        ),
    ),
  },
  {
    weight: 3,
    arbitrary: fc
      .record({ path: fc.constantFrom(...instances), action: fc.constantFrom("start", "stop", "migrate") })
      .map(({ path, action }): Mutation => ({ method: "POST", path: `${path}:${action}`, body: {} })),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ path: fc.constantFrom(...instances, ...networks), own: labels, by: fc.constantFrom("x", "y") })
      .map(({ path, own, by }): Mutation => ({
        method: "PATCH",
        path: `${path}?fieldManager=${by}&force=true`,
        body: { metadata: { labels: Object.fromEntries(Object.entries(own).filter(([, value]) => value !== null)) } },
        type: "application/apply-patch+json",
      })),
  },
  { weight: 2, arbitrary: lifeOf(["/projects/brief"], fc.constant({ organisation: "acme" })) },
  { weight: 2, arbitrary: lifeOf(briefs, fc.record({ cidr })) },
  { weight: 1, arbitrary: lifeOf(["/users/ana", "/users/ben"], fc.constant({})) },
  {
    weight: 1,
    arbitrary: lifeOf(["/groups/crew"], fc.record({ members: fc.constantFrom([], ["ana"], ["ana", "ben"]) })),
  },
  { weight: 1, arbitrary: patchOf(["/groups/crew"], fc.record({ members: fc.constantFrom([], ["ana"], ["ben"]) })) },
  {
    weight: 1,
    arbitrary: patchOf(["/sites/madrid", "/sites/paris"], fc.record({ city: maybe(fc.constantFrom("M", "P")) })),
  },
  { weight: 1, arbitrary: patchOf(["/nodes/mad-1", "/nodes/par-1"], fc.record({ schedulable: maybe(fc.boolean()) })) },
  { weight: 1, arbitrary: patchOf([shop], fc.record({ displayName: maybe(fc.constantFrom("S", "T")) })) },
);

type Flat = ReadonlyMap<string, unknown>;

/** Every field of everything; lists and what has several forms are one. */
function flat(snapshot: Snapshot): Flat {
  return new Map(
    [...snapshot].flatMap(([name, object]) => [
      [name, true] as const,
      ...differences(undefined, object).map(({ path, after: value }) => [`${name} ${path}`, value] as const),
    ]),
  );
}

function changed(one: Flat, other: Flat): readonly string[] {
  return [...new Set([...one.keys(), ...other.keys()])].filter(
    (key) => !isDeepStrictEqual(one.get(key), other.get(key)),
  );
}

const make = (path: string, spec: object): Mutation => ({ method: "PUT", path, body: { spec } });
const relabel = (path: string, own: object): Mutation => ({
  method: "PATCH",
  path,
  body: { metadata: { labels: own } },
});
const [one = "", two = ""] = networks;
const [web = ""] = instances;

/** Tried first, so that each run sees every way of an undo. */
const journeys: [Mutation[]][] = [
  [
    [
      make(one, { cidr: "10.50.0.0/24" }),
      relabel(one, { a: "1" }),
      { method: "DELETE", path: one },
      make(web, instanceSpec),
      { method: "POST", path: `${web}:migrate`, body: {} },
    ],
  ],
  [
    [
      make("/projects/brief", { organisation: "acme" }),
      make("/projects/brief/networks/one", { cidr: "10.50.0.0/24" }),
      { method: "DELETE", path: "/projects/brief/networks/one" },
      { method: "DELETE", path: "/projects/brief" },
    ],
  ],
];
const encounters: [{ mutation: Mutation; mine: boolean }[], boolean][] = [true, false].map((partial) => [
  [
    { mutation: make(two, { cidr: "10.51.0.0/24" }), mine: false },
    { mutation: relabel(two, { a: "1", b: "1" }), mine: true },
    { mutation: relabel(two, { a: "2" }), mine: false },
  ],
  partial,
]);

describe("undo of random mutations", { timeout: 600_000 }, () => {
  let zone: UndoZone;
  let start: Snapshot;
  before(async () => {
    zone = await startUndoZone();
    start = zone.snapshot();
  });
  after(() => zone[Symbol.asyncDispose]());

  const perform = async ({ method, path, body, type }: Mutation): Promise<Answer> => {
    const answer = await zone.ask(method, path, body, type === undefined ? {} : { "content-type": type });
    assert.ok(answer.status < 500, `${method} ${path}: ${answer.text}`);
    await zone.fleet.calm();
    return answer;
  };

  /** Nothing is left of a run but what the zone began with. */
  const clean = async (): Promise<void> => {
    const made = [...instances, ...networks, ...briefs, "/projects/brief", "/groups/crew", "/users/ana", "/users/ben"];
    for (const path of made) await perform({ method: "DELETE", path });
    for (const [name, { labels: had, spec }] of start as ReadonlyMap<string, { labels: object; spec: object }>) {
      const [kind, place = ""] = name.split(" ");
      const path = { Site: "/sites/", Node: "/nodes/", Project: "/projects/" }[kind ?? ""];
      if (path !== undefined)
        await perform({ method: "PUT", path: path + place, body: { metadata: { labels: had }, spec } });
    }
    assert.deepEqual(zone.snapshot(), start);
  };

  test("in reverse order gives back the same specs, names, labels and places, and undone in turn what had been", async (t) => {
    t.diagnostic(`seed ${seed}, ${runs} runs (SKERRY_TEST_SEED, SKERRY_TEST_RUNS)`);
    const seen = { undone: 0, moved: 0, remade: 0, deleted: 0, restored: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 4, maxLength: 16 }), async (mutations) => {
        // An instance that was deleted is not given back: none is, here.
        const done: { readonly revision: number; readonly before: Snapshot; readonly what: string }[] = [];
        for (const asked of mutations) {
          const was = zone.snapshot();
          const answer = await perform(asked);
          const revision = answer.at("revision");
          if (answer.status >= 300 || typeof revision !== "number") continue;
          if (isDeepStrictEqual(zone.snapshot(), was)) continue;
          done.push({ revision, before: was, what: `${asked.method} ${asked.path} ${JSON.stringify(asked.body)}` });
        }
        const end = zone.snapshot();
        const undos: number[] = [];
        for (const { revision, before: was, what } of done.toReversed()) {
          const answer = await zone.undo({ revision });
          assert.ok(answer.status < 300, `undo of ${what}: ${answer.text}`);
          await zone.fleet.calm();
          assert.deepEqual(zone.snapshot(), was, what);
          undos.push(Number(answer.at("revision")));
          seen.undone += 1;
          const way = answer.at("undone.0.way");
          if (way === "moved-back") seen.moved += 1;
          else if (way === "made-again") seen.remade += 1;
          else if (way === "deleted") seen.deleted += 1;
          else seen.restored += 1;
        }
        const hasInstance = done.some(({ what }) => /^PUT \S*instances/.test(what));
        if (!hasInstance) {
          for (const revision of undos.toReversed()) {
            const answer = await zone.undo({ revision });
            assert.ok(answer.status < 300, `redo: ${answer.text}`);
            await zone.fleet.calm();
          }
          assert.deepEqual(zone.snapshot(), end);
        }
        await clean();
      }),
      { numRuns: runs, examples: journeys },
    );
    // What never happens here proves nothing.
    for (const [what, times] of Object.entries(seen)) assert.ok(times > 0, `${what}: ${times}`);
  });

  test("between those of others changes nothing that others have changed, or is refused for that", async () => {
    const seen = { undone: 0, refused: 0, left: 0 };
    const asked = fc.record({ mutation, mine: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(asked, { minLength: 6, maxLength: 20 }), fc.boolean(), async (steps, partial) => {
        const own: { readonly revision: number; readonly before: Flat; readonly after: Flat; readonly what: string }[] =
          [];
        for (const { mutation: one, mine } of steps) {
          const was = flat(zone.snapshot());
          const answer = await perform(one);
          const revision = answer.at("revision");
          if (!mine || answer.status >= 300 || typeof revision !== "number") continue;
          own.push({
            revision,
            before: was,
            after: flat(zone.snapshot()),
            what: `${one.method} ${one.path} ${JSON.stringify(one.body)}`,
          });
        }
        for (const { revision, before: was, after: is, what } of own.toReversed()) {
          const now = flat(zone.snapshot());
          const answer = await zone.undo({ revision, partial });
          await zone.fleet.calm();
          const then = flat(zone.snapshot());
          const told = `undo of ${what}: ${answer.text}`;
          if (answer.status < 300) {
            seen.undone += 1;
            const [left = []] = [answer.at("undone.0.left") as readonly string[] | undefined];
            if (left.length > 0) seen.left += 1;
            for (const field of changed(now, then)) {
              // Where something runs is no part of it: what is deleted may have been moved since, also by the control plane.
              if (field.endsWith(" /node") && !then.has(field)) continue;
              assert.deepEqual(now.get(field), is.get(field), `${field} was another's: ${told}`);
              assert.deepEqual(then.get(field), was.get(field), `${field} is as nobody had it: ${told}`);
            }
          } else {
            seen.refused += 1;
            assert.equal(answer.status, 409, told);
            assert.deepEqual(changed(now, then), [], told);
          }
        }
        await clean();
      }),
      { numRuns: runs, examples: encounters },
    );
    for (const [what, times] of Object.entries(seen)) assert.ok(times > 0, `${what}: ${times}`);
  });
});
