import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import "@skerry/testkit/seed";
import { RateBook } from "../../src/limits/rate-book.ts";

const rate = { perSecond: 10, burst: 5 };

describe("a book of rates", () => {
  test("gives a burst at once, then as many a second as said, and says how long to wait", () => {
    const book = new RateBook();
    for (let count = 0; count < 5; count++) assert.equal(book.take("one", rate, 1000), 0);
    assert.equal(Math.round(book.take("one", rate, 1000)), 100);
    assert.equal(Math.round(book.take("one", rate, 1060)), 40);
    assert.equal(book.take("two", rate, 1060), 0, "another's is its own");
    assert.equal(book.take("one", rate, 1100), 0);
    assert.ok(book.take("one", rate, 1100) > 0);
    assert.equal(book.take("one", rate, 10_000, 5), 0, "a whole burst again");
    assert.ok(book.take("one", rate, 10_000) > 0);
  });

  test("lets through what costs more than a burst once there is a whole one, and has it paid for in full", () => {
    const book = new RateBook();
    assert.equal(book.take("one", rate, 1000, 50), 0);
    assert.equal(Math.round(book.take("one", rate, 1000, 50)), 5000);
    assert.equal(Math.round(book.take("one", rate, 1000)), 4600);
  });

  test("never gives more in any time than a burst and what the time brings, and all of that", () => {
    const steps = fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 20 }), (gaps, perSecond, burst) => {
        const book = new RateBook();
        let nowMs = 5000;
        let given = 0;
        // What a bucket of the plain kind would hold.
        let held = burst;
        for (const gapMs of gaps) {
          nowMs += gapMs;
          held = Math.min(burst, held + (gapMs * perSecond) / 1000);
          const waitMs = book.take("one", { perSecond, burst }, nowMs);
          assert.equal(waitMs === 0, held >= 1 - 1e-6, `${held} are left, and it waits ${waitMs}`);
          if (waitMs === 0) {
            held -= 1;
            given += 1;
          } else assert.ok(Math.abs(waitMs - ((1 - held) * 1000) / perSecond) < 1e-3);
        }
        assert.ok(given <= burst + ((nowMs - 5000) * perSecond) / 1000 + 1e-6);
      }),
    );
  });

  test("remembers a bounded number of keys, of which those that ask stay", () => {
    const book = new RateBook(100);
    for (let count = 0; count < 5; count++) book.take("busy", rate, 1000);
    for (let key = 0; key < 10_000; key++) {
      book.take(`key-${key}`, rate, 1000);
      if (key % 50 === 0) assert.ok(book.take("busy", rate, 1000) > 0, `forgotten after ${key}`);
    }
    assert.ok(book.size <= 200, `${book.size}`);
  });
});
