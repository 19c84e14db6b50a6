import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { surviveKill, victims } from "./killed-move.ts";
import { ended, eventually, nodeNames, project, startZone, workload, type Zone } from "./zone.ts";

/* Real processes and disk copies, simulated guests: the whole way from a client to two nodes and back. */
describe("a zone of a server and two nodes", () => {
  let zone: Zone;
  before(async () => {
    zone = await startZone(24 * 1024 * 1024);
  });
  after(() => zone.close());

  test("an instance is created, serves, stops, grows, starts, reboots and is deleted with its volume and address", async () => {
    const { client } = zone;
    const key = { project, name: "life" };
    assert.equal(
      (await ended(client, await client.put("Instance", key, { spec: workload }))).status.state,
      "succeeded",
    );
    const first = await client.get("Instance", key);
    assert.equal(first.status.health, "healthy");
    assert.equal((await ended(client, await client.action("Instance", key, "stop"))).status.state, "succeeded");
    assert.equal((await client.get("Instance", key)).status.state, "stopped");
    assert.equal(
      (await ended(client, await client.patch("Instance", key, { spec: { vcpus: 2 } }))).status.state,
      "succeeded",
    );
    assert.equal((await ended(client, await client.action("Instance", key, "start"))).status.state, "succeeded");
    const before = await client.get("Instance", key);
    assert.equal((await ended(client, await client.action("Instance", key, "reboot"))).status.state, "succeeded");
    assert.notEqual((await client.get("Instance", key)).status.startedAt, before.status.startedAt);
    assert.equal((await ended(client, await client.delete("Instance", key))).status.state, "succeeded");
    assert.deepEqual(await client.listAll("Volume", { project }), []);
    assert.equal((await client.get("Network", { project, name: "lan" })).status.leased, 0);
  });

  test("what nothing fits is refused with the reasons, and nothing is stored", async () => {
    const { client } = zone;
    const spec = { ...workload, placement: { countries: ["PT"] } };
    await assert.rejects(client.put("Instance", { project, name: "nowhere" }, { spec }), { code: "no-placement" });
    assert.deepEqual(await client.listAll("Instance", { project }), []);
    assert.deepEqual(await client.listAll("Volume", { project }), []);
  });

  test("agents and server killed in the middle of nothing leave running guests untouched", async () => {
    const { client } = zone;
    const key = { project, name: "calm" };
    await ended(client, await client.put("Instance", key, { spec: workload }));
    const { startedAt } = (await client.get("Instance", key)).status;
    for (const role of ["server", ...nodeNames] as const) await zone.killAndRestart(role);
    await eventually("the nodes are back", async () =>
      (await client.listAll("Node")).every((node) => node.status.connected),
    );
    const again = await eventually("it is seen again", async () => {
      const seen = await client.get("Instance", key);
      return seen.status.state === "running" && seen;
    });
    assert.equal(again.status.startedAt, startedAt);
    await ended(client, await client.delete("Instance", key));
  });

  // The copy, the switch and the release are where a copy could be lost or doubled; the other steps follow nightly.
  for (const victim of victims) {
    for (const step of ["copy", "switch", "release"]) {
      test(`a move whose ${victim} is killed at its step ${step} ends with one copy, which serves`, () =>
        surviveKill(zone, victim, step));
    }
  }
});
