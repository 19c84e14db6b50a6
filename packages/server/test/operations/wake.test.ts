import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { NodeFacts } from "@skerry/model";
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
    reports.forget("nod_1");
    reports.record(new Map());
    fleet.killServer();
    const [organisation] = scratch.store.list("Organisation");
    assert.deepEqual(heard, [[organisation?.metadata.id], ["nod_1"], []]);
  });
});
