import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { InstanceResource } from "@skerry/model";
import { overlappingRuns, readSimulatedRuns, type SimulatedRun } from "@skerry/agent";
import { ended, eventually, nodeNames, project, startZone, workload, type NodeName, type Zone } from "./zone.ts";

/* Real processes and disks, simulated guests, whose records say when they ran; a lease of 30 s, the shortest there is. */
describe("an instance that may be replaced", () => {
  const key = { project, name: "mover" };
  const rockKey = { project, name: "rock" };
  let zone: Zone;
  before(async () => {
    zone = await startZone(1024 * 1024);
  });
  after(() => zone.close());

  const runsOn = (name: NodeName, id: string): readonly SimulatedRun[] => {
    const folder = join(zone.folder, name, "simulated/runs");
    return existsSync(folder) ? (readSimulatedRuns(folder).get(id) ?? []) : [];
  };
  const ownerOf = ({ assignment }: InstanceResource): NodeName =>
    nodeNames.find((name) => name === assignment?.node) ?? assert.fail("it is nowhere");

  /** Cuts the owner off until the instance serves elsewhere, lets it return, and checks all that must hold. */
  async function survive(part: (owner: NodeName) => void, reunite: (owner: NodeName) => void): Promise<SimulatedRun> {
    const before = await zone.client.get("Instance", key);
    const rock = await zone.client.get("Instance", rockKey);
    const { id } = before.metadata;
    const owner = ownerOf(before);
    part(owner);
    const replaced = await eventually("it serves elsewhere", async () => {
      const seen = await zone.client.get("Instance", key);
      return seen.assignment?.node !== owner && seen.status.health === "healthy" && seen;
    });
    const gone = runsOn(owner, id).at(-1);
    assert.ok(gone !== undefined);
    reunite(owner);
    await eventually("what the old node had is gone", async () => {
      const { assignment } = await zone.client.get("Instance", key);
      return (assignment?.former ?? []).length === 0;
    });
    await eventually("its disk too", async () => {
      const { assignment } = await zone.client.get("Volume", key);
      return (assignment?.copies ?? []).length === 0;
    });
    assert.equal(runsOn(owner, id).at(-1)?.startedAtMs, gone.startedAtMs, "the old node has started it again");
    assert.deepEqual(overlappingRuns(nodeNames.flatMap((name) => runsOn(name, id))), []);
    assert.deepEqual(
      [replaced.metadata.id, replaced.status.addresses, replaced.assignment?.epoch],
      [id, before.status.addresses, (before.assignment?.epoch ?? 0) + 1],
    );
    const disk = await zone.client.get("Volume", key);
    const left = readdirSync(join(zone.folder, owner, "volumes"));
    assert.deepEqual(
      left.filter((name) => name.startsWith(disk.metadata.id)),
      [],
    );
    const rockNow = await zone.client.get("Instance", rockKey);
    assert.deepEqual([rockNow.assignment, rockNow.status.startedAt], [rock.assignment, rock.status.startedAt]);
    return gone;
  }

  test("is started elsewhere once its node's agent hangs, and what is kept beside it runs on", async () => {
    const spec = { ...workload, onDisconnect: { replaceAfterSeconds: 30 } };
    await ended(zone.client, await zone.client.put("Instance", key, { spec }));
    const owner = ownerOf(await zone.client.get("Instance", key));
    const rock = { ...workload, placement: { nodes: [owner] } };
    await ended(zone.client, await zone.client.put("Instance", rockKey, { spec: rock }));
    const run = await survive(
      (name) => zone.pause(name),
      (name) => zone.resume(name),
    );
    // Nobody could ask it to shut down: its lease has ended it.
    assert.equal(run.stopsAtMs, undefined);
    assert.ok(run.leaseEndsAtMs !== undefined);
  });

  test("is shut down in good order by a node that is cut off, before another starts it", async () => {
    const run = await survive(
      (owner) => zone.path(owner).cut(),
      (owner) => zone.path(owner).join(),
    );
    assert.ok(run.stopsAtMs !== undefined && run.stopsAtMs < (run.leaseEndsAtMs ?? 0));
  });
});
