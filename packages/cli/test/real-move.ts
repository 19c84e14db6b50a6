import assert from "node:assert/strict";
import { guestGet } from "../src/demo/guest-http.ts";
import type { ResourceKey } from "@skerry/sdk";
import { ended, eventually } from "./zone.ts";
import { islet, nodeNames, processesOf, project, type NodeName, type RealZone } from "./real-zone.ts";

/** What goes wrong during a move: a process is killed, or the two hosts do not reach each other for a while. */
export const troubles = ["server", "owner", "target", "drop", "reset"] as const;
export type Trouble = (typeof troubles)[number];

export interface Trial {
  readonly trouble: Trouble;
  /** It comes when this step of the move is seen to have begun; in `copy` when bytes are seen on their way. */
  readonly step: string;
  /** How long the hosts are cut off. */
  readonly cutMs?: number;
}

type InstanceSpec = typeof islet;

/** A running instance that is moved to and fro, by trials. */
export async function makeMover(zone: RealZone, name: string, spec: InstanceSpec = islet): Promise<ResourceKey> {
  const key = { project, name };
  const made = await ended(zone.client, await zone.client.put("Instance", key, { spec }));
  assert.equal(made.status.state, "succeeded", JSON.stringify(made.status.problem));
  return key;
}

/** What a guest on a real disk tells of its data and its name. */
export async function witness(zone: RealZone, key: ResourceKey) {
  const ask = (path: string): Promise<string> => guestGet(zone.client, key, path, AbortSignal.timeout(20_000));
  return {
    greeting: await ask("/"),
    data: await ask("/data"),
    address: await ask("/ip"),
    boot: Number(await ask("/boot")),
    tick: Number(await ask("/tick")),
  };
}

/** Moves the instance to the other node, makes the trouble, and checks what is left in the end. @returns how it ended */
export async function surviveTrouble(zone: RealZone, key: ResourceKey, trial: Trial) {
  const { client } = zone;
  const before = await witness(zone, key);
  const { assignment, metadata } = await client.get("Instance", key);
  const owner = nodeNames.find((name) => name === assignment?.node) ?? "alpha";
  const target = owner === "alpha" ? "beta" : "alpha";
  await using watch = watchProcesses(metadata.id);

  let made: Promise<void> | undefined;
  const mutation = await client.action("Instance", key, "migrate", { toNode: target });
  const operation = await ended(client, mutation, ({ status }) => {
    const reached = status.steps.find(({ name }) => name === trial.step);
    const begun = reached !== undefined && reached.state !== "pending";
    const there = begun && (trial.step !== "copy" || (reached.done ?? 0) > 0 || reached.state !== "running");
    if (there) made ??= makeTrouble(zone, trial, owner, target);
  });
  assert.ok(made !== undefined, `the step ${trial.step} was never seen`);
  await made;
  const { state, problem } = operation.status;
  assert.ok(["succeeded", "failed"].includes(state), state);

  const home = state === "succeeded" ? target : owner;
  const left = home === target ? owner : target;
  await eventually("it is healthy, and its node connected", async () => {
    const seen = await client.get("Instance", key);
    const node = await client.get("Node", { name: home });
    return node.status.connected && seen.status.health === "healthy" && seen.assignment?.node === home;
  });
  const after = await eventually("it answers", () => witness(zone, key));
  assert.deepEqual(
    { greeting: after.greeting, data: after.data, address: after.address },
    { greeting: before.greeting, data: before.data, address: before.address },
  );
  assert.ok(after.tick >= before.tick, `tick ${before.tick} before, ${after.tick} after`);
  assert.ok(after.boot > before.boot, "it was started again");
  await eventually("nothing of it is left on the other node", async () => {
    const domains = await zone.inHost(left, "virsh", "--quiet", "list", "--all", "--name");
    const disks = await zone.kept(left, "volumes");
    return !domains.includes(metadata.id) && !disks.some((name) => name.startsWith("vol_"));
  });
  assert.match(await zone.inHost(home, "virsh", "domstate", metadata.id), /^running/);
  assert.equal((await processesOf(metadata.id)).length, 1);
  assert.equal(watch.most(), 1, "never two at a time");
  return { state, home, problem: problem?.detail, result: operation.status.result };
}

async function makeTrouble(zone: RealZone, { trouble, cutMs = 3000 }: Trial, owner: NodeName, target: NodeName) {
  switch (trouble) {
    case "server":
      return zone.killServer();
    case "owner":
      return zone.killAgent(owner);
    case "target":
      return zone.killAgent(target);
    case "drop":
    case "reset": {
      const mend = await zone.cut(trouble);
      await new Promise((resolve) => setTimeout(resolve, cutMs));
      return mend();
    }
  }
}

/** Looks a few times a second at how many processes run a guest, on all hosts together. */
export function watchProcesses(instanceId: string): AsyncDisposable & { most(): number } {
  let most = 0;
  const over = new AbortController();
  const look = async (): Promise<void> => {
    while (!over.signal.aborted) {
      most = Math.max(most, (await processesOf(instanceId)).length);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  };
  const looking = look();
  return {
    most: () => most,
    [Symbol.asyncDispose]: async () => {
      over.abort();
      await looking;
    },
  };
}
