import assert from "node:assert/strict";
import { test } from "node:test";
import { proposalLines } from "../src/commands/rebalance.ts";

test("proposals stand under each other with their gain and bytes, and the sum of it says what of", () => {
  const move = { instance: "web", project: "shop", from: "mad-1", to: "par-1", gain: 0.08, bytes: 5_000_000 };
  const found = {
    objective: "price",
    before: 0.2,
    after: 0.12,
    moves: [move],
    hidden: 0,
    bytes: 5_000_000,
    lookedAt: 3,
  } as const;
  assert.deepEqual(proposalLines({ ...found, moves: [move] }), [
    "INSTANCE  FROM   TO     GAIN    BYTES",
    "shop/web  mad-1  par-1  0.08  4.8 MiB",
    "price: 0.2 to 0.12 EUR/h by 1 moves, 4.8 MiB; of 3 instances",
  ]);
  assert.deepEqual(proposalLines({ ...found, moves: [], after: 0.2 }), ["Nothing to gain: price is 0.2 EUR/h."]);
});
