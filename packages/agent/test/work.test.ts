import assert from "node:assert/strict";
import { test } from "node:test";
import { SkerryError } from "@skerry/model";
import { Work } from "../src/reconcile/work.ts";
import { newId } from "./contract/ids.ts";
import { wantedVolume } from "./gateway/wishes.ts";

const never = new AbortController().signal;
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** The pauses before each of the next tries of an action that fails so every time, ms, without their spread. */
async function pausesAfter(error: Error, failures: number): Promise<number[]> {
  let nowMs = 0;
  const work = new Work({
    apply: () => Promise.reject(error),
    nowMs: () => nowMs,
    random: () => 1,
    log: silent,
    onEnd: () => undefined,
  });
  const volume = wantedVolume({ id: newId("vol") });
  const planned = { object: `volume:${volume.id}`, alsoHolds: [], action: { kind: "create-volume", volume } } as const;
  const pauses: number[] = [];
  for (let failed = 0; failed < failures; failed += 1) {
    assert.equal(work.begin(planned, work.beginLook(), 1, never), undefined, "it is due");
    await work.settled();
    const dueMs = work.begin(planned, work.beginLook(), 1, never) ?? assert.fail("nothing to wait for");
    pauses.push(dueMs - nowMs);
    nowMs = dueMs;
  }
  return pauses;
}

test("a full disk is tried again ever more rarely, at last once a minute; what others may end any moment stays quick", async () => {
  const full = new SkerryError("storage-full", "The disk is full.");
  assert.deepEqual(
    await pausesAfter(full, 9),
    [1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1000),
  );
  const noSpace = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  assert.deepEqual((await pausesAfter(noSpace, 7)).at(-1), 60_000);
  assert.deepEqual((await pausesAfter(new Error("not there yet"), 7)).at(-1), 8000);
});
