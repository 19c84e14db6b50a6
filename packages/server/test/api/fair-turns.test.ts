import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FairTurns } from "../../src/api/fair-turns.ts";

function hold(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

describe("fair turns", () => {
  test("let others in between a crowd's, which keeps its order", async () => {
    const turns = new FairTurns();
    const order: number[] = [];
    let others = 0;
    let isOver = false;
    const other = (): void => {
      others++;
      if (!isOver) setImmediate(other);
    };
    setImmediate(other);
    const work = async (serial: number): Promise<void> => {
      const turn = turns.enter();
      if (turn !== undefined) await turn;
      hold(5);
      order.push(serial);
      await Promise.resolve();
    };
    await Promise.all(Array.from({ length: 40 }, (_, serial) => work(serial)));
    isOver = true;
    assert.deepEqual(order, [...Array(40).keys()]);
    assert.ok(others >= 6, `others had ${others} turns in 200 ms`);
  });

  test("cost nobody a wait where there is no crowd, also after there was one", async () => {
    const turns = new FairTurns();
    for (let round = 0; round < 3; round++) {
      assert.equal(turns.enter(), undefined);
      hold(25);
      await turns.enter();
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(turns.enter(), undefined);
  });
});
