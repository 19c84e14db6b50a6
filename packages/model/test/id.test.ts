import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Id, makeId, parserOf } from "@skerry/model";
import "@skerry/testkit/seed";

const parse = parserOf(Id, "id");
const randomBytes = fc.uint8Array({ minLength: 10, maxLength: 10 });
const time = fc.integer({ min: 0, max: 2 ** 47 });

describe("ids", () => {
  test("every id that is made is one that is accepted", () => {
    fc.assert(fc.property(time, randomBytes, (ms, bytes) => parse(makeId("ins", ms, bytes)).length === 30));
  });

  test("a later id sorts after an earlier one, whatever the randomness", () => {
    fc.assert(
      fc.property(time, time, randomBytes, randomBytes, (a, b, x, y) => {
        fc.pre(a < b);
        assert.ok(makeId("ins", a, x) < makeId("ins", b, y));
      }),
    );
  });

  test("different random bytes give different ids", () => {
    fc.assert(
      fc.property(time, randomBytes, randomBytes, (ms, x, y) => {
        fc.pre(Buffer.compare(x, y) !== 0);
        assert.notEqual(makeId("ins", ms, x), makeId("ins", ms, y));
      }),
    );
  });
});
