import assert from "node:assert/strict";
import type { ResourceKey } from "@skerry/sdk";
import { watchProcesses, witness } from "./real-move.ts";
import { nodeNames, type NodeName, type RealZone } from "./real-zone.ts";
import { ended, eventually } from "./zone.ts";

/** Why a target can't have the guest: no room for its disk, nothing that would run it, nobody who hears it serve. */
export const obstacles = ["full", "no-hypervisor", "unheard"] as const;
export type Obstacle = (typeof obstacles)[number];

/** When the move gives up: enough for what does not fail by itself to be tried, and for the guest to boot there in vain. */
const deadlineSeconds = 60;

/** @returns what takes it away */
async function obstruct(zone: RealZone, target: NodeName, obstacle: Obstacle): Promise<() => Promise<void>> {
  const on = async (...argv: readonly string[]): Promise<void> => void (await zone.inHost(target, ...argv));
  switch (obstacle) {
    case "full": {
      const folder = "/var/lib/skerry/volumes";
      await on("mount", "-t", "tmpfs", "-o", "size=8m,mode=0711", "tmpfs", folder);
      return () => on("umount", folder);
    }
    case "no-hypervisor": {
      const units = ["libvirtd.socket", "libvirtd-ro.socket", "libvirtd-admin.socket", "libvirtd.service"];
      await on("systemctl", "stop", ...units);
      return () => on("systemctl", "start", "libvirtd.socket", "libvirtd.service");
    }
    case "unheard":
      await on(
        "nft",
        "add table inet unheard; add chain inet unheard output { type filter hook output priority -300; }; " +
          "add rule inet unheard output tcp dport 80 drop",
      );
      return () => on("nft", "delete table inet unheard");
  }
}

/** Moves the instance to where it can't run, and checks that it is back with all it had, and nothing left there. @returns why it failed */
export async function surviveObstacle(zone: RealZone, key: ResourceKey, obstacle: Obstacle): Promise<string> {
  const { client } = zone;
  const before = await witness(zone, key);
  const { assignment, metadata } = await client.get("Instance", key);
  const owner = nodeNames.find((name) => name === assignment?.node) ?? "alpha";
  const target = owner === "alpha" ? "beta" : "alpha";
  await using watch = watchProcesses(metadata.id);

  const mend = await obstruct(zone, target, obstacle);
  let mended: Promise<void> | undefined;
  const takeAway = (): Promise<void> => (mended ??= mend());
  try {
    const mutation = await client.action("Instance", key, "migrate", { toNode: target, deadlineSeconds });
    const ending = ended(client, mutation);
    // An error before the wait for it begins must not end the process.
    ending.catch(() => undefined);
    await eventually(
      "the source serves again, whatever hinders the target",
      async () => {
        const seen = await client.get("Instance", key);
        const { boot } = await witness(zone, key);
        return seen.assignment?.node === owner && seen.status.health === "healthy" && boot > before.boot;
      },
      2 * deadlineSeconds * 1000,
    );
    // Only what runs guests can say that none is left.
    if (obstacle === "no-hypervisor") await takeAway();
    const { status } = await ending;
    assert.equal(status.state, "failed", JSON.stringify(status));
    await eventually("nothing of it is left at the target", async () => {
      if (obstacle !== "no-hypervisor") await nothingLeft(zone, target, metadata.id);
      return true;
    });
    await takeAway();
    await eventually("nor is anything below what hindered it", async () => {
      await nothingLeft(zone, target, metadata.id);
      return true;
    });

    const after = await witness(zone, key);
    assert.deepEqual(
      { greeting: after.greeting, data: after.data, address: after.address, boot: after.boot },
      { greeting: before.greeting, data: before.data, address: before.address, boot: before.boot + 1 },
    );
    assert.ok(after.tick >= before.tick, `tick ${before.tick} before, ${after.tick} after`);
    assert.equal(watch.most(), 1, "never two at a time");
    const { status: again } = await ended(client, await client.action("Instance", key, "migrate", { toNode: target }));
    assert.equal(again.state, "succeeded", JSON.stringify(again));
    assert.equal((await witness(zone, key)).data, before.data);
    return `${status.problem?.code} ${status.problem?.detail}`;
  } finally {
    await takeAway();
  }
}

/** @throws AssertionError where a domain, a disk, a seed or a lease of the instance is on the node */
async function nothingLeft(zone: RealZone, node: NodeName, instanceId: string): Promise<void> {
  const domains = await zone.inHost(node, "virsh", "--quiet", "list", "--all", "--name");
  // As the host sees them: what is mounted there does not show in its root from here.
  const list = async (folder: string): Promise<readonly string[]> =>
    (await zone.inHost(node, "ls", "-A", folder)).split("\n");
  const files = await Promise.all(["/run/skerry/leases", "/var/lib/skerry/guests", "/var/lib/skerry/seeds"].map(list));
  const disks = (await list("/var/lib/skerry/volumes")).filter((name) => name.startsWith("vol_"));
  const found = [domains, ...files.flat()].filter((text) => text.includes(instanceId));
  assert.deepEqual([...found, ...disks], []);
}
