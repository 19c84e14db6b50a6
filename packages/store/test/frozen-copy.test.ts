import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import "@skerry/testkit/seed";
import { frozenCopy } from "../src/object.ts";

const tree = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    fc.string({ unit: "binary" }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("tree"), { maxLength: 4 }),
    fc.dictionary(
      fc.string().filter((name) => name !== "__proto__"),
      fc.oneof(tie("tree"), fc.constant(undefined)),
      { noNullPrototype: true },
    ),
  ),
})).tree;

test("a frozen copy is what its JSON loads as, and keeps nothing of what it was made from", () => {
  fc.assert(
    fc.property(tree, (value) => {
      const copy = frozenCopy(value);
      assert.deepEqual(copy, JSON.parse(JSON.stringify(value)));
      assert.equal(JSON.stringify(copy), JSON.stringify(value));
      assertApart(copy, value);
    }),
  );
});

function assertApart(copy: unknown, from: unknown): void {
  if (typeof copy !== "object" || copy === null) return;
  assert.ok(Object.isFrozen(copy));
  assert.notEqual(copy, from);
  for (const [name, inner] of Object.entries(copy)) assertApart(inner, (from as Record<string, unknown>)[name]);
}

for (const [what, value] of [
  ["a date", new Date(0)],
  ["a map", new Map()],
  ["a function", () => 1],
  ["no number", Number.NaN],
  ["an infinity", Number.POSITIVE_INFINITY],
  ["a bigint", 1n],
  ["a gap in a list", [undefined]],
  ["a field named __proto__", JSON.parse('{"__proto__":{"admin":true}}') as unknown],
] as const) {
  test(`${what} is refused, since it would be another after a restart`, () => {
    assert.throws(() => frozenCopy({ spec: { value } }), TypeError);
  });
}
