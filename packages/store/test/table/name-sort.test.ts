import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import "@skerry/testkit/seed";
import { NameSort } from "../../src/table/name-sort.ts";

test("names are sorted byte by byte, however much of them they share", () => {
  const name = fc.oneof(
    fc.string({ unit: "binary", maxLength: 12 }),
    fc.tuple(fc.nat(20), fc.nat(400)).map(([project, serial]) => `p${project} web-${serial}`),
  );
  fc.assert(
    fc.property(fc.array(name, { maxLength: 600, size: "max" }), (names) => {
      const sort = new NameSort();
      const encoded = names.map((text) => Buffer.from(`<${text}>`));
      for (const [row, bytes] of encoded.entries()) sort.add(row, bytes, 1, bytes.length - 1);
      const inner = (row: number): Buffer => (encoded[row] ?? Buffer.alloc(0)).subarray(1, -1);
      const sorted = [...sort.sorted()];
      assert.deepEqual(
        sorted.toSorted((one, other) => one - other),
        [...names.keys()],
      );
      for (const [index, row] of sorted.entries())
        if (index > 0) assert.ok(Buffer.compare(inner(sorted[index - 1] ?? 0), inner(row)) <= 0, `at ${index}`);
    }),
    { numRuns: 100 },
  );
});
