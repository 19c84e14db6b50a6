import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { leaseStage, type WantedState } from "@skerry/protocol";
import { LeaseFolder } from "../src/leases/lease-folder.ts";
import { LeaseKeeper } from "../src/leases/lease-keeper.ts";
import { newId } from "./contract/ids.ts";
import { wantedInstance, wish } from "./gateway/wishes.ts";
import { temporaryFolder } from "./temporary-folder.ts";

describe("an agent's leases", () => {
  const leased = wantedInstance(newId("vol"), { lease: { seconds: 100 } });
  const kept = wantedInstance(newId("vol"));
  const nodeId = newId("nod");

  function keeperOver(folder: string, state: { uptime: number; wanted: WantedState | undefined }) {
    const guard = Object.assign(new LeaseFolder(folder), { missing: () => undefined });
    const keeper = new LeaseKeeper({
      guard,
      uptimeSeconds: () => state.uptime,
      wanted: () => state.wanted,
      onChange: () => undefined,
    });
    keeper.refresh();
    return keeper;
  }

  const deadline = (folder: string, id: string): number => Number(readFileSync(join(folder, id), "utf8"));

  test("count from when the answered beat was sent, and reach the guard before they count", async () => {
    await using folder = await temporaryFolder();
    const state = { uptime: 1000, wanted: wish(nodeId, { instances: [leased, kept] }) };
    using keeper = keeperOver(folder.path, state);
    assert.equal(keeper.view().ageSeconds, Infinity);
    assert.equal(deadline(folder.path, leased.id), 0);
    const beat = keeper.beat();
    state.uptime = 1015;
    keeper.granted(beat, state.wanted.revision);
    assert.equal(keeper.view().ageSeconds, 15);
    assert.equal(deadline(folder.path, leased.id), 1088);
    assert.throws(() => deadline(folder.path, kept.id));
    keeper.granted(beat, state.wanted.revision);
    keeper.granted(beat + 7, state.wanted.revision);
    assert.equal(keeper.view().ageSeconds, 15, "an answer counts once, and only to what was asked");
  });

  test("are not renewed by an answer that speaks of a wish that the node does not have", async () => {
    await using folder = await temporaryFolder();
    const state = { uptime: 1000, wanted: wish(nodeId, { instances: [leased] }) };
    using keeper = keeperOver(folder.path, state);
    keeper.granted(keeper.beat(), state.wanted.revision + 1);
    assert.equal(keeper.view().ageSeconds, Infinity);
    keeper.granted(keeper.beat(), state.wanted.revision);
    assert.equal(keeper.view().ageSeconds, 0);
  });

  test("outlive the agent's process, and not the host's boot", async () => {
    await using folder = await temporaryFolder();
    const state = { uptime: 1000, wanted: wish(nodeId, { instances: [leased] }) };
    using keeper = keeperOver(folder.path, state);
    keeper.granted(keeper.beat(), state.wanted.revision);
    state.uptime = 1050;
    using next = keeperOver(folder.path, state);
    assert.equal(next.view().ageSeconds, 50);
    assert.equal(deadline(folder.path, leased.id), 1088);
    writeFileSync(join(folder.path, "anchor"), "another-boot 1000\n");
    state.uptime = 2000;
    using booted = keeperOver(folder.path, state);
    assert.equal(leaseStage(booted.view().ageSeconds, 100), "over");
    assert.equal(deadline(folder.path, leased.id), 0);
  });

  test("stay as they are where the last wish can't be read", async () => {
    await using folder = await temporaryFolder();
    const state: { uptime: number; wanted: WantedState | undefined } = {
      uptime: 1000,
      wanted: wish(nodeId, { instances: [leased] }),
    };
    {
      using keeper = keeperOver(folder.path, state);
      keeper.granted(keeper.beat(), 1);
    }
    const before = deadline(folder.path, leased.id);
    state.wanted = undefined;
    using _next = keeperOver(folder.path, state);
    assert.ok(before > 0);
    assert.equal(deadline(folder.path, leased.id), before);
  });

  test("leave the guard to what has to go until it is gone, and take it from what is kept", async () => {
    await using folder = await temporaryFolder();
    const state = { uptime: 1000, wanted: wish(nodeId, { instances: [leased] }) };
    using keeper = keeperOver(folder.path, state);
    const { lease: _none, ...going } = leased;
    state.wanted = wish(nodeId, { instances: [{ ...going, presence: "absent" }] });
    keeper.refresh();
    assert.equal(deadline(folder.path, leased.id), 0);
    state.wanted = wish(nodeId, { instances: [going] });
    keeper.refresh();
    assert.throws(() => deadline(folder.path, leased.id));
  });
});
