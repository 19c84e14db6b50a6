import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { overlappingRuns, readSimulatedRuns } from "@skerry/agent";
import { ended, eventually, nodeNames, project, workload, type Role, type Zone } from "./zone.ts";

export const victims = ["server", "owner", "target"] as const;
export type Victim = (typeof victims)[number];

/** Moves a new instance, kills `victim` as soon as `step` is seen to begin, and checks what is left in the end. */
export async function surviveKill(zone: Zone, victim: Victim, step: string): Promise<void> {
  const { client, folder } = zone;
  const key = { project, name: `mover-${victim}-${step}` };
  await ended(client, await client.put("Instance", key, { spec: workload }));
  const { assignment, metadata, status } = await client.get("Instance", key);
  const owner = nodeNames.find((name) => name === assignment?.node) ?? "alpha";
  const target = owner === "alpha" ? "beta" : "alpha";
  const role: Role = victim === "server" ? "server" : victim === "owner" ? owner : target;

  let killed: Promise<void> | undefined;
  const operation = await ended(client, await client.action("Instance", key, "migrate", { toNode: target }), (seen) => {
    const reached = seen.status.steps.find(({ name }) => name === step);
    if (killed === undefined && reached !== undefined && reached.state !== "pending")
      killed = zone.killAndRestart(role);
  });
  assert.ok(killed !== undefined, `the step ${step} was never seen`);
  await killed;
  assert.ok(["succeeded", "failed"].includes(operation.status.state), operation.status.state);

  const now = await eventually("one healthy copy", async () => {
    const seen = await client.get("Instance", key);
    return seen.status.health === "healthy" && seen;
  });
  assert.equal(now.assignment?.node, operation.status.state === "succeeded" ? target : owner);
  assert.deepEqual(now.status.addresses, status.addresses);
  const runs = nodeNames.flatMap(
    (name) => readSimulatedRuns(join(folder, name, "simulated/runs")).get(metadata.id) ?? [],
  );
  assert.deepEqual(overlappingRuns(runs), []);
  assert.equal(runs.filter((run) => run.stopsAtMs === undefined).length, 1);
  await ended(client, await client.delete("Instance", key));
  const [volume] = await client.listAll("Volume", { project });
  assert.equal(volume, undefined);
  await eventually("no disk is left on either node", async () =>
    nodeNames.every((name) => !holdsDisk(join(folder, name, "volumes"))),
  );
}

function holdsDisk(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).some((name) => name.startsWith("vol_"));
}
