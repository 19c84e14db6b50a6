import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { NodeFacts } from "@skerry/model";
import type { ObservedState } from "@skerry/protocol";
import { NodeReports } from "../../src/controllers/node-reports.ts";
import { WakeRoom, type WakeSource } from "../../src/operations/wake.ts";
import { create } from "../controllers/zone-fixture.ts";
import { ModelFleet } from "../controllers/model-fleet.ts";
import { openScratchStore } from "../fakes/scratch-store.ts";

const never = new AbortController().signal;

/** A condition that counts how often it is asked, and never holds. */
function counting(room: WakeRoom, about?: readonly string[], signal = never) {
  const asked = { times: 0 };
  const waits = room.until(() => ++asked.times === 0, signal, about);
  return { asked, waits };
}

describe("a room in which conditions wait", () => {
  test("asks at once, then once for a burst of changes, and only whom these concern", async () => {
    const tell: ((ids: readonly string[]) => void)[] = [];
    const room = new WakeRoom([(listener) => (tell.push(listener), () => {}), () => () => {}]);
    const [one, other, any] = [counting(room, ["a", "b"]), counting(room, ["c"]), counting(room)];
    tell[0]?.(["a", "b"]);
    tell[0]?.(["b"]);
    await Promise.resolve();
    tell[0]?.([]);
    await Promise.resolve();
    assert.deepEqual([one.asked.times, other.asked.times, any.asked.times], [2, 1, 3]);
  });

  test("asks nobody any more who has left or was told to", async () => {
    let tell: (ids: readonly string[]) => void = () => {};
    const room = new WakeRoom([(listener) => ((tell = listener), () => {})]);
    const leaving = new AbortController();
    const { asked, waits } = counting(room, ["a"], leaving.signal);
    tell(["a"]);
    leaving.abort(new Error("gone"));
    await assert.rejects(waits, /gone/);
    tell(["a"]);
    await Promise.resolve();
    assert.equal(asked.times, 1);
  });

  test("hears ids, and nothing but ids, from every source that the server has", async () => {
    await using scratch = await openScratchStore(() => Date.now());
    const reports = new NodeReports();
    const heard: (readonly string[])[] = [];
    const sources: WakeSource[] = [
      (listener) => scratch.store.subscribe((events) => listener(events.map(({ id }) => id))),
      (listener) => reports.onChange(listener),
    ];
    for (const source of sources) source((ids) => heard.push(ids));
    const fleet = new ModelFleet(scratch.store);
    await fleet.startServer();
    await scratch.store.transact((tx) =>
      create(tx, fleet.controllers.intents, "Organisation", { name: "acme" }, {}, 0),
    );
    const facts = {} as NodeFacts;
    const state = { wantedRevision: 0, facts, networks: [], volumes: [], instances: [] };
    reports.record(new Map([["nod_1", { state, receivedAtMs: 0, receivedMonotonicMs: 0 }]]));
    fleet.killServer();
    const [organisation] = scratch.store.list("Organisation");
    assert.deepEqual(heard, [[organisation?.metadata.id], ["nod_1"]]);
  });

  test("hears of what a node's report says anew, and of the node where it knows of another wish", () => {
    const reports = new NodeReports();
    const heard: (readonly string[])[] = [];
    reports.onChange((ids) => heard.push(ids));
    const guest = { id: "ins_1", epoch: 1, generation: 1, state: "starting", health: "unknown", rebootGeneration: 0 };
    const disk = { id: "vol_1", epoch: 1, state: "ready" };
    const said = (wantedRevision: number, instances: readonly object[], volumes: readonly object[]): void => {
      const state = { wantedRevision, facts: {}, networks: [], volumes, instances } as unknown as ObservedState;
      reports.record(new Map([["nod_1", { state, receivedAtMs: 0, receivedMonotonicMs: 0 }]]));
    };
    said(0, [], []);
    said(0, [guest], [disk]);
    said(0, [{ ...guest }], [disk]);
    said(0, [{ ...guest, state: "running" }], [disk]);
    said(1, [{ ...guest, state: "running" }], []);
    assert.deepEqual(heard, [["nod_1"], ["ins_1", "vol_1"], ["ins_1"], ["nod_1", "vol_1"]]);
  });
});
