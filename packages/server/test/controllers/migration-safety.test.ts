import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Store } from "@skerry/store";
import { seed } from "@skerry/testkit/seed";
import { useScratchStore } from "../fakes/scratch-store.ts";
import { isDone } from "../operations/engine-run.ts";
import { anyScenario, ask, playMigration, type Incident, type Scenario } from "./migration-scenario.ts";

const runs = Number(process.env["SKERRY_TEST_RUNS"] ?? 25);

describe("a cold migration", () => {
  let store: Store;
  useScratchStore((opened) => (store = opened));

  const calm: Scenario = { incidents: [], running: true, sickTarget: false };

  test("moves a running instance with its disk and says how long it was away", async () => {
    const { state, owner, operation } = await playMigration(store, calm);
    assert.deepEqual([state, owner], ["succeeded", 1]);
    const { result, steps } = operation.status;
    assert.deepEqual(
      steps.map(({ name, state: stepState }) => `${name} ${stepState}`),
      [
        "choose succeeded",
        "stop succeeded",
        "offer succeeded",
        "copy succeeded",
        "switch succeeded",
        "start succeeded",
        "release succeeded",
      ],
    );
    assert.ok(typeof result?.["sourceDigest"] === "string" && result["sourceDigest"] === result["targetDigest"]);
    assert.equal(result["sourceRemoved"], true);
    assert.equal(typeof result["downtimeMs"], "number");
  });

  test("moves a stopped instance stopped", async () => {
    const { state, owner, operation } = await playMigration(store, { ...calm, running: false });
    assert.deepEqual([state, owner], ["succeeded", 1]);
    assert.equal(operation.status.result?.["downtimeMs"], undefined);
  });

  test("goes back to the source, with a higher epoch, where the target never becomes healthy", async () => {
    const { state, owner, operation } = await playMigration(store, { ...calm, sickTarget: true });
    assert.deepEqual([state, owner], ["failed", 0]);
    assert.equal(operation.status.problem?.code, "deadline-exceeded");
    assert.equal(store.get("Instance", { project: "shop", name: "web" })?.assignment?.epoch, 3);
  });

  const work = (...nodes: readonly (0 | 1)[]): Incident[] => nodes.map((node) => ({ kind: "work", node }));
  const pulls: Incident = { kind: "act", node: 1, pick: 0 };
  const copying: readonly Incident[] = [
    ...work(0, 0),
    { kind: "deliver", node: 1 },
    pulls,
    pulls,
    { kind: "report", node: 1 },
  ];

  test("gives up at its deadline where the target goes away in the middle of the copy, and runs at the source again", async () => {
    const waiting = Array.from({ length: 70 }, (): Incident[] => [{ kind: "tick" }, ...work(0)]).flat();
    const { state, owner, operation } = await playMigration(store, {
      ...calm,
      incidents: [...copying, { kind: "kill-agent", node: 1 }, ...waiting],
    });
    assert.deepEqual([state, owner], ["failed", 0]);
    assert.match(operation.status.problem?.detail ?? "", /step copy .*not connected/);
  });

  test("takes a half copied disk back when it is cancelled, and starts the source again", async () => {
    const { state, owner } = await playMigration(store, { ...calm, incidents: [...copying, { kind: "cancel" }] });
    assert.deepEqual([state, owner], ["cancelled", 0]);
  });

  const onSource = (kind: "deliver" | "report" | "link" | "reboot"): Incident => ({ kind, node: 0 });
  /** Anything but stopping, where there is anything else that it can do. */
  const sourceDigests: Incident = { kind: "act", node: 0, pick: 1 };

  test("does not start the target before the source says that it has stopped, even where it offers the disk", async () => {
    const incidents = [onSource("deliver"), sourceDigests, onSource("report"), ...work(1, 1, 1, 1, 1, 1)];
    const { state, owner } = await playMigration(store, { ...calm, incidents });
    assert.deepEqual([state, owner], ["succeeded", 1]);
  });

  test("does not take a report from before the order to stop for an answer to it", async () => {
    const sourceStarts: Incident = { kind: "act", node: 0, pick: 0 };
    const rebooted = [onSource("reboot"), onSource("link"), onSource("report"), sourceStarts];
    const incidents = [...rebooted, onSource("deliver"), sourceDigests, onSource("report"), ...work(1, 1, 1, 1, 1, 1)];
    const { state, owner } = await playMigration(store, { ...calm, incidents });
    assert.deepEqual([state, owner], ["succeeded", 1]);
  });

  test("does not go back to the source before the target was seen stopped", async () => {
    const incidents: Incident[] = [
      ...work(0, 0, 1, 0, 1, 1, 0, 1),
      { kind: "cut", node: 1 },
      { kind: "long-tick" },
      ...work(0, 0, 0, 0),
    ];
    const { state, owner } = await playMigration(store, { ...calm, sickTarget: true, incidents });
    assert.deepEqual([state, owner], ["failed", 0]);
  });

  test("does not take the target's report from before the order to stop it for an answer to it", async () => {
    const onTarget = (kind: "deliver" | "report" | "cut"): Incident => ({ kind, node: 1 });
    // The target knows that it may run the guest, but has not begun to.
    const slow: Incident[] = [...work(0, 0, 0, 1), onTarget("deliver"), onTarget("report"), onTarget("cut")];
    const targetStarts: Incident = { kind: "act", node: 1, pick: 0 };
    const incidents = [...slow, { kind: "long-tick" } as const, ...work(0, 0, 0, 0), targetStarts];
    const { state, owner } = await playMigration(store, { ...calm, sickTarget: true, incidents });
    assert.deepEqual([state, owner], ["failed", 0]);
  });

  test("keeps the source's disk where the target is neither well nor to be had back, and can be moved onto it again", async () => {
    const lost: Incident[] = [...work(0, 0, 1, 0, 1, 1, 0, 1), { kind: "cut", node: 1 }];
    const waiting = Array.from({ length: 6 }, (): Incident[] => [{ kind: "long-tick" }, ...work(0)]).flat();
    const scenario = { ...calm, sickTarget: true, incidents: [...lost, ...waiting] };
    const { state, owner, operation } = await playMigration(store, scenario, async (fleet, nodes) => {
      assert.equal(nodes[0].disks.size, 1);
      const back = await ask(fleet);
      for (let ticks = 0; ticks < 100 && !isDone(store, back); ticks++) {
        await fleet.calm();
        await fleet.tick(15_000);
      }
      await fleet.calm();
      assert.equal(store.getById("Operation", back.metadata.id)?.status.state, "succeeded");
      assert.deepEqual([nodes[0].runs, nodes[1].disks.size], [true, 0]);
    });
    assert.deepEqual([state, owner], ["failed", 1]);
    const left = operation.status.problem?.facts?.["left"];
    assert.ok(Array.isArray(left) && left.length === 2, JSON.stringify(left));
  });

  test("never runs twice and ends in one place with one disk, whatever is killed, cut or rebooted when", async (t) => {
    t.diagnostic(`seed ${seed}, ${runs} runs (SKERRY_TEST_SEED, SKERRY_TEST_RUNS)`);
    const endings = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(anyScenario, async (scenario) => {
        const { state, owner } = await playMigration(store, scenario);
        const ending = `${state} at ${owner === 0 ? "source" : "target"}`;
        endings.set(ending, (endings.get(ending) ?? 0) + 1);
      }),
      { numRuns: runs, seed },
    );
    t.diagnostic([...endings].map(([ending, count]) => `${ending}: ${count}`).join(", "));
  });
});
