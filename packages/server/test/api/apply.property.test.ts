import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import "@skerry/testkit/seed";
import { specs, startApi, type Answer, type ApiHarness } from "./api-harness.ts";
import { AppliedObject, type Flat } from "./applied-object.ts";

const instances = "/api/v1/projects/ours/instances";

/** Values of each field that the random wishes name; nested ones by their path. */
const choices: Readonly<Record<string, readonly unknown[]>> = {
  "/metadata/labels/a": ["1", "2"],
  "/metadata/labels/b~1c": ["1", "2"],
  "/spec/vcpus": [1, 2],
  "/spec/memoryMiB": [64, 128],
  "/spec/image": ["tiny"],
  "/spec/power": ["running", "stopped"],
  "/spec/networks": [[], ["x"], ["x", "y"]],
  "/spec/onDisconnect": ["keep", { replaceAfterSeconds: 60 }, { replaceAfterSeconds: 90 }],
  "/spec/healthCheck/kind": ["tcp"],
  "/spec/healthCheck/port": [80, 81],
  "/spec/healthCheck/path": ["/", "/ok"],
  "/spec/placement/countries": [["ES"], ["ES", "PT"]],
  "/spec/placement/labels/zone": ["a", "b"],
};
const pointers = Object.keys(choices);

const flat = (likely: number): fc.Arbitrary<Flat> =>
  fc
    .record(
      Object.fromEntries(
        pointers.map((pointer) => [
          pointer,
          fc.option(fc.constantFrom(...(choices[pointer] ?? [])), { freq: likely, nil: undefined }),
        ]),
      ),
    )
    .map((values) => new Map(Object.entries(values).filter(([, value]) => value !== undefined)));

/** Mostly whole: an instance needs its size and its image. */
const whole = flat(2).map((wish): Flat => new Map([...flatten({ spec: specs.Instance }), ...wish]));

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("apply" as const),
      manager: fc.constantFrom("one", "two", "three"),
      wish: fc.oneof({ weight: 3, arbitrary: whole }, { weight: 1, arbitrary: flat(2) }),
      force: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("put" as const), wish: whole }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete" as const) }) },
);

/* Random applies, forced or not, by several managers and by none, against a model that keeps one set of owners for each field. */
describe("whose fields are", () => {
  let api: ApiHarness;
  before(async () => {
    api = await startApi();
    await api.ask(api.admin, "PUT", "/api/v1/projects/ours", { spec: specs.Project });
  });
  after(() => api[Symbol.asyncDispose]());

  test("follows from what each has applied, and so does every refusal", async () => {
    let count = 0;
    const seen = { applied: 0, conflicts: 0, shared: 0, dropped: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), async (steps) => {
        const path = `${instances}/p-${(count += 1)}`;
        const model = new AppliedObject(["/spec/vcpus", "/spec/memoryMiB", "/spec/image"], {
          "/spec/healthCheck": ["/spec/healthCheck/kind", "/spec/healthCheck/port"],
        });
        for (const one of steps) {
          const was = await api.ask(api.admin, "GET", path);
          const { revision } = api.store;
          const rehearsed = await perform(path, one, "dryRun=true");
          assert.equal(api.store.revision, revision);
          const answer = await perform(path, one);
          const expected =
            one.do === "apply"
              ? model.apply(one.manager, one.wish, one.force)
              : model.write(one.do === "put" ? one.wish : undefined);
          const what = `${JSON.stringify(one, (_, value: unknown) => (value instanceof Map ? [...value] : value))}: ${answer.text}`;
          if (expected.outcome === "invalid") assert.equal(answer.status, 400, what);
          else if (expected.outcome === "absent") assert.equal(answer.status, 404, what);
          else if (expected.outcome === "conflict") {
            seen.conflicts += 1;
            assert.equal(answer.status, 409, what);
            const told = (answer.at("facts.conflicts") as { path: string; owners: string[] }[]).map(
              (conflict) => [conflict.path, conflict.owners.toSorted()] as const,
            );
            assert.deepEqual(new Map(told), expected.conflicts, what);
          } else {
            assert.ok(answer.status < 300, what);
            seen.applied += 1;
          }
          const is = await api.ask(api.admin, "GET", path);
          assert.equal(rehearsed.status === 200, answer.status < 300, what);
          if (one.do !== "delete" && is.status === 200 && rehearsed.status === 200) {
            for (const field of ["spec", "metadata.labels", "metadata.managers", "metadata.madeBy"])
              assert.deepEqual(rehearsed.at(`resource.${field}`), is.at(field), what);
          }
          assert.deepEqual(fieldsIn(is), model.fields, what);
          assert.deepEqual(ownersIn(is), model.owners, what);
          if (model.fields.size > 0 && [...model.owners.values()].some(({ size }) => size > 1)) seen.shared += 1;
          if (expected.outcome !== "done") assert.equal(api.store.revision, revision, what);
          if (was.status === 200 && is.status === 200) {
            const sameSpec = isDeepStrictEqual(was.at("spec"), is.at("spec"));
            assert.equal(
              is.at("metadata.generation"),
              Number(was.at("metadata.generation")) + (sameSpec ? 0 : 1),
              what,
            );
            const same = sameSpec && isDeepStrictEqual(fieldsIn(was), fieldsIn(is));
            if (same && isDeepStrictEqual(ownersIn(was), ownersIn(is)))
              assert.equal(api.store.revision, revision, what);
            if (one.do === "apply" && [...fieldsIn(was).keys()].some((pointer) => !fieldsIn(is).has(pointer)))
              seen.dropped += 1;
          }
        }
      }),
      { numRuns: 120 },
    );
    // What never happens here proves nothing.
    for (const [what, times] of Object.entries(seen)) assert.ok(times > 5, `${what}: ${times}`);
  });

  function perform(path: string, one: StepOf, more = ""): Promise<Answer> {
    switch (one.do) {
      case "apply": {
        const query = `?fieldManager=${one.manager}${one.force ? "&force=true" : ""}&${more}`;
        return api.ask(api.admin, "PATCH", path + query, nested(one.wish), {
          "content-type": "application/apply-patch+json",
        });
      }
      case "put": {
        const { metadata = { labels: {} }, spec } = nested(one.wish);
        return api.ask(api.admin, "PUT", `${path}?${more}`, { metadata, spec });
      }
      case "delete":
        return api.ask(api.admin, "DELETE", `${path}?${more}`);
    }
  }
});

type StepOf = typeof step extends fc.Arbitrary<infer S> ? S : never;

function nested(fields: Flat): { readonly metadata?: object; readonly spec?: object } {
  const root: Record<string, unknown> = {};
  for (const [pointer, value] of fields) {
    const parts = pointer.slice(1).split("/");
    let here = root;
    for (const part of parts.slice(0, -1)) here = (here[part] ??= {}) as Record<string, unknown>;
    here[(parts.at(-1) ?? "").replace("~1", "/")] = value;
  }
  return root;
}

/** The fields that the wishes are made of, as an object has them. */
function flatten(object: { readonly metadata?: unknown; readonly spec?: unknown }): Flat {
  return new Map(
    pointers.flatMap((pointer) => {
      let here: unknown = object;
      for (const part of pointer.slice(1).split("/"))
        here = typeof here === "object" && here !== null ? Reflect.get(here, part.replace("~1", "/")) : undefined;
      return here === undefined ? [] : [[pointer, here] as const];
    }),
  );
}

function fieldsIn(answer: Answer): Flat {
  return flatten({ metadata: answer.at("metadata"), spec: answer.at("spec") });
}

function ownersIn(answer: Answer): ReadonlyMap<string, ReadonlySet<string>> {
  const managers = (answer.at("metadata.managers") ?? []) as readonly { manager: string; fields: string[] }[];
  return new Map(
    [...fieldsIn(answer).keys()].map((pointer) => {
      const listed = managers.filter(({ fields }) => fields.includes(pointer)).map(({ manager }) => manager);
      return [pointer, new Set(listed.length === 0 ? ["api"] : listed)];
    }),
  );
}
