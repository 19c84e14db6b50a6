import assert from "node:assert/strict";
import { test } from "node:test";
import { moveLines, moveReportLines } from "../src/output/move-lines.ts";

test("what would be moved where stands under each other, with what is held up and why", () => {
  const move = { instance: "web", project: "shop", from: "mad-1", to: "par-1", bytes: 5_000_000 };
  const lines = moveLines({
    moves: [move, { ...move, instance: "database", to: "ath-1", bytes: 1_000_000, downtimeMs: 4200 }],
    blocked: [{ instance: "pin", project: "lab", from: "mad-1", code: "no-placement", why: "No node fits: none." }],
    ...{ hidden: 2, notForeseen: 1, bytes: 6_000_000, experience: 3 },
  });
  assert.deepEqual(lines, [
    "INSTANCE       FROM   TO         BYTES  DOWNTIME",
    "shop/web       mad-1  par-1    4.8 MiB   unknown",
    "shop/database  mad-1  ath-1  976.6 KiB     4.2 s",
    "HELD UP  ON     WHY",
    "lab/pin  mad-1  No node fits: none.",
    "2 to move, 5.7 MiB; 1 held up; downtimes by 3 earlier moves",
    "2 that you may not see are not listed",
    "1 more were not looked at",
  ]);
  assert.deepEqual(moveLines(undefined), []);
});

test("a report says what was moved, how long it took at worst, and what is left", () => {
  const report = { complete: true, moved: 7, bytes: 7_000_000, longestDowntimeMs: 4200, failures: 0, left: [] };
  assert.deepEqual(moveReportLines(report), ["7 moved, 6.7 MiB, longest downtime 4.2 s; 0 left"]);
  const left = [{ instance: "lab/pin", why: "No node fits: none." }];
  assert.deepEqual(
    moveReportLines({ ...report, complete: false, longestDowntimeMs: 0, failures: 2, left, leftMore: 3 }),
    ["7 moved, 6.7 MiB, 2 attempts failed; 4 left", "  lab/pin: No node fits: none.", "  and 3 more"],
  );
});
