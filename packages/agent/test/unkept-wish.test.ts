import assert from "node:assert/strict";
import { test } from "node:test";
import type { WantedState } from "@skerry/protocol";
import { UnkeptWish } from "../src/reconcile/unkept-wish.ts";
import { newId } from "./contract/ids.ts";
import { wantedInstance, wantedVolume, wish } from "./gateway/wishes.ts";

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
/** As SQLite says that the disk is full. */
const full = Object.assign(new Error("database or disk is full"), { errcode: 13 });

test("a wish that can't be written down is told of, and tried again ever more rarely until it can", () => {
  let nowMs = 0;
  let free = false;
  const kept: WantedState[] = [];
  const unkept = new UnkeptWish({
    keep: (state) => {
      if (!free) throw full;
      kept.push(state);
    },
    nowMs: () => nowMs,
    random: () => 1,
    log: silent,
  });
  const nodeId = newId("nod");
  const disk = wantedVolume();
  const [fresh, leaving] = [wantedInstance(disk.id), wantedInstance(disk.id, { presence: "absent" })];
  assert.deepEqual([unkept.dueMs, unkept.instances([])], [undefined, []]);

  unkept.take(wish(nodeId, { volumes: [disk], instances: [fresh, leaving] }));
  const [told, ...others] = unkept.instances([]);
  assert.deepEqual([told?.id, told?.state, told?.errorCode], [fresh.id, "pending", "storage-full"]);
  assert.match(told?.error ?? "", /disk is full/);
  assert.deepEqual(others, [], "of what is to go nothing is told that is not seen");
  assert.deepEqual(told === undefined ? [] : unkept.instances([told]), [], "what is seen is told by who sees it");

  const pauses: number[] = [];
  for (let failed = 0; failed < 8; failed += 1) {
    const dueMs = unkept.dueMs ?? assert.fail("nothing is due");
    pauses.push(dueMs - nowMs);
    nowMs = dueMs - 1;
    unkept.retry();
    assert.equal(unkept.dueMs, dueMs, "not before it is due");
    nowMs = dueMs;
    unkept.retry();
  }
  assert.deepEqual(
    pauses,
    [1, 2, 4, 8, 16, 32, 60, 60].map((seconds) => seconds * 1000),
  );

  free = true;
  unkept.retryNow();
  unkept.retry();
  assert.deepEqual([kept.length, unkept.dueMs, unkept.instances([])], [1, undefined, []]);
});

test("a wish that was overtaken does not take the place of the newer one that waits", () => {
  const unkept = new UnkeptWish({
    keep: () => {
      throw full;
    },
    nowMs: () => 0,
    random: () => 1,
    log: silent,
  });
  const disk = wantedVolume();
  const newer = { ...wish(newId("nod"), { volumes: [disk], instances: [wantedInstance(disk.id)] }), revision: 8 };
  unkept.take(newer);
  unkept.take({ ...newer, revision: 7, instances: [] });
  assert.equal(unkept.instances([]).length, 1);
});
