import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import type { InstanceResource } from "@skerry/model";
import type { ResourceKey } from "@skerry/sdk";
import { overlaps } from "@skerry/testkit";
import { makeMover, witness } from "./real-move.ts";
import { uptimeMs, type WriterWatch } from "./real-writers.ts";
import { islet, nodeNames, processesOf, type NodeName, type RealZone } from "./real-zone.ts";
import { eventually } from "./zone.ts";

/** The shortest that there is: shut down from 18 s without an answer on, killed at 24, by the guard at 25, replaced at 30. */
const leaseSeconds = 30;
/** Until a replacement serves, on a machine that has other things to do too. */
export const replacedMs = 180_000;

/** A guest that may be replaced, and one beside it on the same host that is to be kept. */
export interface Pair {
  readonly leased: ResourceKey;
  readonly kept: ResourceKey;
}

export async function makePair(zone: RealZone): Promise<Pair> {
  const onDisconnect = { replaceAfterSeconds: leaseSeconds };
  const leased = await makeMover(zone, "leased", { ...islet, onDisconnect });
  await eventually("the node has confirmed the lease", async () => {
    const { assignment } = await zone.client.get("Instance", leased);
    return assignment?.lease?.confirmed;
  });
  const placement = { nodes: [ownerOf(await zone.client.get("Instance", leased))] };
  return { leased, kept: await makeMover(zone, "kept", { ...islet, placement }) };
}

export function ownerOf({ assignment }: InstanceResource): NodeName {
  return nodeNames.find((name) => name === assignment?.node) ?? assert.fail("it is nowhere");
}

export interface Parting {
  part(owner: NodeName): Promise<void>;
  /** While it is served elsewhere, before the owner is back. */
  meanwhile?(owner: NodeName, id: string): Promise<void>;
  reunite(owner: NodeName): Promise<void>;
}

export interface Survived {
  /** From the last answer that the node may have had to the end of its guest, and to the begin of the next. */
  readonly endedMs: number;
  readonly begunMs: number;
}

/** Parts the owner from the rest until the guest serves elsewhere, lets it return, and checks all that must hold. */
export async function surviveParting(
  zone: RealZone,
  watch: WriterWatch,
  { leased, kept }: Pair,
  parting: Parting,
): Promise<Survived> {
  const { client } = zone;
  const before = await client.get("Instance", leased);
  const { id } = before.metadata;
  const owner = ownerOf(before);
  const was = await witness(zone, leased);
  const disk = await client.get("Volume", leased);
  const oldDisk = join(zone.host(owner).rootPath, "var/lib/skerry/volumes", `${disk.metadata.id}.qcow2`);
  const keptBefore = await client.get("Instance", kept);
  const keptWas = ownerOf(keptBefore) === owner ? await witness(zone, kept) : undefined;
  const keptProcesses = await processesOf(keptBefore.metadata.id);

  const partedMs = uptimeMs();
  await parting.part(owner);
  await eventually(
    "it serves elsewhere",
    async () => {
      const seen = await client.get("Instance", leased);
      return seen.assignment?.node !== owner && seen.status.health === "healthy";
    },
    replacedMs,
  );
  const next = watch.history.find((one) => one.instanceId === id && one.node !== owner && one.fromMs > partedMs);
  assert.ok(next !== undefined, "nobody saw it begin elsewhere");
  const gone = watch.history.findLast((one) => one.instanceId === id && one.node === owner && one.fromMs < next.fromMs);
  assert.ok(gone?.untilMs !== undefined && gone.untilMs <= next.fromMs, JSON.stringify([gone, next]));
  // Its own disk says so too: nothing was written to it since.
  const bootedMs = Date.now() - uptimeMs();
  assert.ok(statSync(oldDisk).mtimeMs - bootedMs <= next.fromMs, "the old disk was written to");
  await parting.meanwhile?.(owner, id);
  assert.deepEqual(await processesOf(keptBefore.metadata.id), keptProcesses, "what is kept was touched");
  const writtenMs = statSync(oldDisk).mtimeMs;

  await parting.reunite(owner);
  await eventually("the old node has given up what it had", async () => {
    const [instance, volume] = [await client.get("Instance", leased), await client.get("Volume", leased)];
    return (instance.assignment?.former ?? []).length === 0 && (volume.assignment?.copies ?? []).length === 0;
  });
  assert.ok(!existsSync(oldDisk) || statSync(oldDisk).mtimeMs === writtenMs);
  await eventually("nothing of it is left there", async () => {
    const domains = await zone.inHost(owner, "virsh", "--quiet", "list", "--all", "--name");
    const leases = await zone.inHost(owner, "ls", "/run/skerry/leases");
    const disks = await zone.kept(owner, "volumes");
    return !domains.includes(id) && !leases.includes(id) && !disks.some((name) => name.startsWith(disk.metadata.id));
  });
  await eventually("what is kept is well", async () => {
    const seen = await client.get("Instance", kept);
    return seen.status.health === "healthy" && (await client.get("Node", { name: owner })).status.connected;
  });
  if (keptWas !== undefined) {
    const keptIs = await eventually("what is kept answers", () => witness(zone, kept));
    assert.deepEqual([keptIs.data, keptIs.boot], [keptWas.data, keptWas.boot]);
    assert.ok(keptIs.tick > keptWas.tick, "what is kept stood still");
  }
  assert.deepEqual(await processesOf(keptBefore.metadata.id), keptProcesses, "what is kept was started again");

  const is = await eventually("it answers", () => witness(zone, leased));
  assert.deepEqual([is.address, is.boot, is.greeting], [was.address, 1, was.greeting]);
  assert.notEqual(is.data, was.data);
  assert.equal((await processesOf(id)).length, 1);
  assert.deepEqual(overlaps(watch.history), []);
  return { endedMs: Math.round(gone.untilMs - partedMs), begunMs: Math.round(next.fromMs - partedMs) };
}
