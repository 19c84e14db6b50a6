import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { afterFailure, afterLink, neverLinked, reconnectDelayMs, type Absence } from "../src/link/absence.ts";
import { defaults } from "../src/options.ts";

const limits = defaults.reconnect;
const hourMs = 3_600_000;
const goodLink = { upMs: hourMs, closeCode: 1006 };

/** Small, quick and the same each time; good enough to spread. */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647;
}

/** Waits of one agent from the end of a good link, while nothing listens at the server's address. */
function waitsFor(
  awayMs: number,
  random: () => number,
): { readonly waits: readonly number[]; readonly backMs: number } {
  const absence = afterFailure(afterLink(neverLinked, goodLink, 0, limits), true);
  const waits: number[] = [];
  let nowMs = 0;
  while (nowMs < awayMs || waits.length === 0) {
    const waitMs = reconnectDelayMs(absence, nowMs, limits, random());
    waits.push(waitMs);
    nowMs += waitMs;
  }
  return { waits, backMs: nowMs };
}

describe("an agent that has lost the server", () => {
  test("tries again within a fifth of a second, and then waits no longer than it has been away", () => {
    const { waits } = waitsFor(10 * 60_000, () => 0.999);
    assert.deepEqual(waits.slice(0, 5), [200, 200, 400, 800, 1599]);
    assert.equal(waits.at(-1), 29_985);
    assert.equal(Math.max(...waits), 29_985);
  });

  test("waits from one second on, doubling, where it has never been linked or somebody answers and does not take it", () => {
    const waits = (from: Absence, tries: number, nobody: boolean) => {
      let absence = from;
      return Array.from({ length: tries }, () => {
        absence = afterFailure(absence, nobody);
        return reconnectDelayMs(absence, hourMs, limits, 0);
      });
    };
    assert.deepEqual(waits(neverLinked, 7, true), [500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
    const overloaded = afterLink(neverLinked, goodLink, hourMs, limits);
    assert.deepEqual(waits(overloaded, 3, false), [500, 1000, 2000]);
  });

  test("does not hurry back to a server that dropped it at once, or said that it should try later", () => {
    const brief = afterLink(neverLinked, { upMs: 50, closeCode: 1006 }, 0, limits);
    const again = afterLink(brief, { upMs: 50, closeCode: 1006 }, 0, limits);
    assert.deepEqual([brief.quiet, again.failures], [false, 2]);
    for (const closeCode of [1008, 1013])
      assert.equal(afterLink(neverLinked, { ...goodLink, closeCode }, 0, limits).quiet, false);
    const afterOverload = afterFailure(afterLink(neverLinked, goodLink, 0, limits), false);
    assert.equal(afterFailure(afterOverload, true).quiet, false);
  });

  test("comes back with its whole fleet over about as long as the server was away, and asks seldom meanwhile", () => {
    const agents = 5000;
    const random = makeRandom(7);
    for (const awayMs of [1000, 3000, 10_000, 60_000, 300_000]) {
      const fleet = Array.from({ length: agents }, () => waitsFor(awayMs, random));
      const late = fleet.map(({ backMs }) => backMs - awayMs);
      const windowMs = Math.min(awayMs, limits.maxMs);
      assert.ok(Math.max(...late) <= windowMs, `the last is back ${Math.max(...late)} ms after ${awayMs}`);
      const tenths = Map.groupBy(late, (lateMs) => Math.floor((lateMs * 10) / windowMs));
      const most = Math.max(...[...tenths.values()].map(({ length }) => length));
      assert.ok(most < agents / 4, `${most} of ${agents} come back within a tenth of ${windowMs} ms`);
      const tries = Math.max(...fleet.map(({ waits }) => waits.length));
      assert.ok(tries <= 8 + 2 * Math.log2(awayMs / limits.quickMs) + awayMs / (limits.maxMs / 2), `${tries} attempts`);
    }
  });
});
