import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { seed } from "@skerry/testkit/seed";
import { BodyReader, type Span } from "../src/body-reader.ts";
import { factsOf, type Facts } from "../src/outline.ts";
import type { StoredObject } from "../src/object.ts";

/** Names and words that are apt to confuse a reader: quotes, braces and keys inside of strings. */
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.constantFrom('"', "\\", '\\"', '","node":"', '{"assignment":{"nodeId":"x"}}', "}]", "ü€😀", "a".repeat(100) + '"'),
);
const name = fc.stringMatching(/^[a-z][-a-z0-9]{0,20}$/);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const address = fc.oneof(
  { weight: 5, arbitrary: fc.nat(2 ** 32 - 1).map((number) => addressText(number)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("10.0.0", "010.1.1.1", "1.2.3.256", "::1", "", "1.2.3.4.5", "0.0.0.0", "1..2.3"),
  },
);
const place = fc.record({ node: name, nodeId: name });
const metadata = fc.record({
  name,
  project: maybe(name),
  id: name,
  revision: fc.nat(),
  labels: fc.dictionary(name, text, { maxKeys: 3 }),
  note: maybe(text),
  requests: maybe(fc.array(fc.record({ key: text, name }), { minLength: 1, maxLength: 8 })),
});
const assigned = {
  nodeId: name,
  reason: text,
  removal: maybe(fc.record({ since: fc.nat(), done: fc.boolean() })),
};
const places = maybe(fc.array(place, { maxLength: 1 }));
const instance = fc.record({
  kind: fc.constant("Instance"),
  metadata,
  spec: fc.record({
    userData: maybe(text),
    vcpus: fc.integer({ min: 1, max: 512 }),
    memoryMiB: fc.integer({ min: 32, max: 2 ** 24 }),
    networks: maybe(fc.array(fc.constantFrom("lan", "wan"), { maxLength: 2 })),
    devices: maybe(fc.array(fc.constant({ kind: "gpu" as const }), { maxLength: 2 })),
    placement: maybe(
      fc.record({
        labels: fc.dictionary(name, text),
        affinity: maybe(fc.array(fc.record({ labels: fc.dictionary(name, text) }), { maxLength: 2 })),
        latitude: fc.double({ noNaN: true }),
      }),
    ),
  }),
  status: fc.record({
    error: maybe(text),
    addresses: fc.array(fc.record({ network: fc.constantFrom("lan", "wan"), address, mac: text }), { maxLength: 2 }),
    deep: fc.jsonValue(),
  }),
  assignment: maybe(
    fc.record({ ...assigned, movingTo: maybe(place), former: places, lease: maybe(fc.record({ seconds: fc.nat() })) }),
  ),
});
const volume = fc.record({
  kind: fc.constant("Volume"),
  metadata,
  spec: fc.record({ sizeMiB: fc.integer({ min: 1 }), instance: maybe(fc.constantFrom("a", "b")) }),
  status: fc.record({ state: text }),
  assignment: maybe(fc.record({ ...assigned, copies: places })),
});

function found(bytes: Buffer, { start, end }: Span): string {
  return bytes.toString("utf8", start, end);
}

/** Reads it with other bytes around it, as in a page. */
function read(reader: BodyReader, body: string): Buffer | undefined {
  const bytes = Buffer.from(`"},"${body}{"x":"`);
  return reader.read(bytes, 4, bytes.length - 6) ? bytes : undefined;
}

function check(reader: BodyReader, object: StoredObject): boolean {
  const bytes = read(reader, JSON.stringify(object));
  const facts: Facts = factsOf(object);
  if (bytes === undefined) return false;
  const { metadata } = object;
  assert.equal(found(bytes, reader.kind), object.kind);
  assert.equal(found(bytes, reader.name), metadata.name);
  assert.equal(found(bytes, reader.project), metadata.project ?? "");
  assert.equal(found(bytes, reader.id), metadata.id);
  assert.equal(reader.revision, metadata.revision);
  assert.equal(found(bytes, reader.labels), facts.labels);
  assert.equal(reader.isPlain, facts.isPlain);
  if (!facts.isPlain) return false;
  assert.equal(found(bytes, reader.node), facts.node);
  const amounts = object.kind === "Volume" ? [reader.sizeMiB, 0] : [reader.vcpus, reader.memoryMiB];
  assert.deepEqual(amounts, [facts.amount, facts.secondAmount]);
  assert.equal(found(bytes, reader.network), facts.network);
  assert.equal(reader.address, facts.address);
  return true;
}

describe("the reader of bodies", () => {
  for (const [kind, arbitrary] of [
    ["instances", instance],
    ["volumes", volume],
  ] as const) {
    test(`finds in ${kind} what their objects say, or leaves it to them`, (t) => {
      t.diagnostic(`seed ${seed} (SKERRY_TEST_SEED)`);
      const reader = new BodyReader();
      let plain = 0;
      fc.assert(
        fc.property(arbitrary, (object) => {
          if (kind === "volumes") object.metadata.name = "a";
          if (check(reader, object as unknown as StoredObject)) plain++;
        }),
        { numRuns: 2000, seed },
      );
      t.diagnostic(`${plain} of 2000 are plain`);
      assert.ok(plain > 20, "too few were read to say anything");
    });
  }

  test("says of whatever is no such JSON that it must be looked at", () => {
    const reader = new BodyReader();
    const whole = '{"kind":"Site","metadata":{"name":"a","id":"b","revision":3,"labels":{}}}';
    assert.ok(read(reader, whole) !== undefined);
    for (let length = 0; length < whole.length; length++)
      assert.equal(read(reader, whole.slice(0, length)), undefined, `its first ${length} bytes`);
    for (const [part, instead] of [
      ['"name"', ' "name"'],
      ["3", "3.5"],
      ["3", "-3"],
      ["3", '"3"'],
      ["{}", "[]"],
      ['"a"', '"\\u0061"'],
      ['"id":"b",', ""],
      ["}}", "}}}"],
    ] as const)
      assert.equal(read(reader, whole.replace(part, instead)), undefined, `${part} as ${instead}`);
  });
});

function addressText(number: number): string {
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join(".");
}
