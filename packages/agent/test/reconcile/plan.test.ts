import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { WantedInstance, WantedState, WantedVolume } from "@skerry/protocol";
import { plan } from "../../src/reconcile/plan.ts";
import { newId } from "../contract/ids.ts";
import { wantedInstance, wantedNetwork, wantedVolume, wish } from "../gateway/wishes.ts";
import { ModelNode } from "./model-node.ts";

const nodeId = newId("nod");

/** A node on which this was ordered and done. */
async function settled(parts: Partial<WantedState>): Promise<ModelNode> {
  const node = new ModelNode();
  node.accept(wish(nodeId, parts));
  assert.ok(await node.settle());
  return node;
}

/** What would be done next about an object after a new order. */
function next(node: ModelNode, id: string, parts: Partial<WantedState>): string | undefined {
  node.accept(wish(nodeId, parts));
  const situation = node.situation();
  const found = situation === undefined ? undefined : [...plan(situation)].find(([key]) => key.endsWith(id))?.[1];
  return found?.next?.action.kind ?? found?.refusal ?? found?.obstacle;
}

describe("a plan", () => {
  const disk: WantedVolume = wantedVolume();
  const guest: WantedInstance = wantedInstance(disk.id);

  test("leaves alone what is as wanted and what is not mentioned", async () => {
    const node = await settled({ volumes: [disk], instances: [guest] });
    assert.equal(next(node, guest.id, { volumes: [disk], instances: [guest] }), undefined);
    assert.equal(next(node, guest.id, {}), undefined);
    assert.equal(node.guests.get(guest.id)?.state, "running");
  });

  test("stops a guest before its disk is offered, and offers nothing that is open", async () => {
    const node = await settled({ volumes: [disk], instances: [guest] });
    const offer = { ...disk, access: "offer" as const, offeredTo: { nodeId, ticket: "t" } };
    assert.equal(next(node, guest.id, { volumes: [offer], instances: [guest] }), "shut-instance-down");
    assert.equal(next(node, disk.id, { volumes: [offer], instances: [guest] }), `guest ${guest.id} has it open`);
    node.endGuest(guest.id);
    assert.equal(next(node, disk.id, { volumes: [offer], instances: [guest] }), "digest-volume");
    assert.equal(
      next(node, guest.id, { volumes: [offer], instances: [guest] }),
      "its root volume may not be written here",
    );
  });

  test("does not make a disk in place of one that was there", async () => {
    const node = await settled({ volumes: [disk] });
    node.disks.delete(disk.id);
    assert.match(
      next(node, disk.id, { volumes: [disk] }) ?? "",
      /no longer on this node; nothing is made in its place/,
    );
  });

  test("keeps a running guest through a change of epoch and of what needs no new definition", async () => {
    const node = await settled({ volumes: [disk], instances: [guest] });
    node.accept(wish(nodeId, { volumes: [{ ...disk, epoch: 3 }], instances: [{ ...guest, epoch: 3, generation: 2 }] }));
    assert.ok(await node.settle());
    const { startedAtMs } = node.guests.get(guest.id) ?? {};
    assert.ok(startedAtMs !== undefined);
    assert.equal(node.calls.filter((call) => call.what === "start").length, 1);
    const record = node.journal.instance(guest.id);
    assert.deepEqual([record.appliedEpoch, record.appliedGeneration], [3, 2]);
  });

  test("defines a guest anew when it is stopped and what it is made of changed, and not before", async () => {
    const node = await settled({ volumes: [disk], instances: [guest] });
    const larger = { ...guest, vcpus: 4, generation: 2 };
    assert.equal(next(node, guest.id, { volumes: [disk], instances: [larger] }), undefined);
    assert.equal(node.journal.instance(guest.id).appliedGeneration, 1);
    assert.equal(
      next(node, guest.id, { volumes: [disk], instances: [{ ...larger, power: "stopped" }] }),
      "shut-instance-down",
    );
    node.endGuest(guest.id);
    assert.equal(
      next(node, guest.id, { volumes: [disk], instances: [{ ...larger, power: "stopped" }] }),
      "define-instance",
    );
  });

  test("defines a guest with the devices that it has, and anew when these are others", async () => {
    const withDevices = (...devices: string[]) => ({ volumes: [disk], instances: [{ ...guest, devices }] });
    const node = await settled(withDevices("0000:41:00.0"));
    assert.deepEqual(node.guests.get(guest.id)?.definition.devices, ["0000:41:00.0"]);
    assert.equal(next(node, guest.id, withDevices("0000:41:00.0")), undefined);
    node.endGuest(guest.id);
    assert.equal(next(node, guest.id, withDevices("0000:42:00.0")), "define-instance");
  });

  test("asks again while the grace lasts, and then kills", async () => {
    const node = await settled({ volumes: [disk], instances: [guest] });
    const stopped = { volumes: [disk], instances: [{ ...guest, power: "stopped" as const }] };
    assert.equal(next(node, guest.id, stopped), "shut-instance-down");
    await node.pass();
    // The guest ignores it.
    const ignoring = node.guests.get(guest.id);
    assert.ok(ignoring !== undefined);
    node.guests.set(guest.id, { ...ignoring, state: "running" });
    node.nowMs += 29_000;
    assert.equal(next(node, guest.id, stopped), "shut-instance-down");
    await node.pass();
    node.nowMs += 1001;
    assert.equal(next(node, guest.id, stopped), "kill-instance");
    assert.equal(
      next(node, guest.id, { volumes: [disk], instances: [guest] }),
      "forget-stop",
      "a stop that is taken back",
    );
  });

  test("starts ever more rarely a guest that keeps ending", async () => {
    const node = await settled({ volumes: [disk], instances: [guest] });
    const waits: number[] = [];
    for (let round = 0; round < 6; round += 1) {
      node.endGuest(guest.id);
      const situation = node.situation();
      const due = situation === undefined ? undefined : plan(situation).get(`instance:${guest.id}`)?.next?.notBeforeMs;
      waits.push(Math.max(0, (due ?? node.nowMs) - node.nowMs));
      node.nowMs = Math.max(node.nowMs, due ?? 0);
      await node.pass();
    }
    assert.deepEqual(waits, [0, 2000, 4000, 8000, 16_000, 32_000]);
  });

  test("waits for networks, and keeps one that a guest is plugged into", async () => {
    const network = wantedNetwork();
    const nics = [{ networkId: network.id, mac: "02:00:00:00:00:01", address: "10.100.0.5/24", gateway: "10.100.0.1" }];
    const plugged = { ...guest, nics };
    const node = await settled({ volumes: [disk] });
    assert.equal(
      next(node, guest.id, { networks: [network], volumes: [disk], instances: [plugged] }),
      "its networks are not ready yet",
    );
    assert.ok(await node.settle());
    assert.equal(node.guests.get(guest.id)?.state, "running");
    const gone = { networks: [{ ...network, presence: "absent" as const }], volumes: [disk], instances: [plugged] };
    assert.match(next(node, network.id, gone) ?? "", /is plugged into it/);
  });

  test("does nothing about guests and disks while the hypervisor does not answer", async () => {
    const node = await settled({ volumes: [disk], instances: [guest] });
    node.accept(
      wish(nodeId, { volumes: [{ ...disk, presence: "absent" }], instances: [{ ...guest, presence: "absent" }] }),
    );
    const situation = node.situation();
    assert.ok(situation !== undefined);
    const blind = plan({ ...situation, seen: { ...situation.seen, guests: undefined } });
    assert.deepEqual(
      [...blind.values()].map((each) => each.next),
      [undefined, undefined],
    );
  });

  describe("of an instance that needs a lease", () => {
    const leased: WantedInstance = { ...guest, lease: { seconds: 100 } };
    const parts = { volumes: [disk], instances: [leased] };
    const ageing = (node: ModelNode, ageSeconds: number): string | undefined => {
      node.leases = { ageSeconds, unguarded: undefined };
      return next(node, guest.id, parts);
    };

    test("starts it only while the server was heard from lately, and leaves it alone then", async () => {
      const node = await settled({ volumes: [disk] });
      for (const ageSeconds of [Infinity, 1000, 88, 70]) assert.match(ageing(node, ageSeconds) ?? "", /not been heard/);
      assert.equal(ageing(node, 0), "define-instance");
      assert.ok(await node.settle());
      assert.equal(node.guests.get(guest.id)?.state, "running");
      assert.equal(ageing(node, 60), undefined);
    });

    test("asks it to shut down as the lease ends, kills it when it is over, and starts it again with the next", async () => {
      const node = await settled(parts);
      assert.equal(ageing(node, 70), "shut-instance-down");
      await node.pass();
      assert.match(ageing(node, 80) ?? "", /not been heard/, "it is asked once");
      assert.equal(ageing(node, 88), "kill-instance");
      await node.pass();
      assert.equal(node.guests.get(guest.id)?.state, "stopped");
      node.leases = { ageSeconds: 0, unguarded: undefined };
      node.nowMs += 60_000;
      assert.ok(await node.settle());
      assert.equal(node.guests.get(guest.id)?.state, "running");
    });

    test("takes a shutdown back where the server is heard in time", async () => {
      const node = await settled(parts);
      assert.equal(ageing(node, 75), "shut-instance-down");
      await node.pass();
      assert.equal(ageing(node, 1), "forget-stop");
    });

    test("kills what ran before the host was suspended for an hour, and what is kept runs on", async () => {
      const rockDisk = wantedVolume();
      const rock = wantedInstance(rockDisk.id);
      const both = { volumes: [disk, rockDisk], instances: [leased, rock] };
      const node = await settled(both);
      node.leases = { ageSeconds: 3600, unguarded: undefined };
      assert.equal(next(node, guest.id, both), "kill-instance");
      assert.equal(next(node, rock.id, both), undefined);
    });

    test("refuses to start it where no guard watches", async () => {
      const node = await settled({ volumes: [disk] });
      node.leases = { ageSeconds: 0, unguarded: "No guard watches." };
      node.accept(wish(nodeId, parts));
      await node.pass();
      assert.equal(next(node, guest.id, parts), "No guard watches.");
    });
  });
});
