import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";

/** Compares long lists, and shows only where they first differ: a whole diff of thousands of objects takes minutes. */
export function assertSameList(actual: readonly unknown[], expected: readonly unknown[]): void {
  const index = expected.findIndex((item, index) => !isDeepStrictEqual(actual[index], item));
  if (index !== -1) assert.deepEqual(actual[index], expected[index], `at ${index} of ${expected.length}`);
  assert.equal(actual.length, expected.length);
}
