import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { overlaps, seededRandom } from "@skerry/testkit";
import { ownerOf, replacedMs, type Pair } from "./real-lease.ts";
import { witness } from "./real-move.ts";
import { uptimeMs, type WriterWatch } from "./real-writers.ts";
import { nodeNames, processesOf, type NodeName, type RealZone } from "./real-zone.ts";
import { eventually } from "./zone.ts";

/* Seeds of trouble on real hosts: what is played at random, and then judged as the simulated plays of the server's tests are. */

const troubles = ["cut", "hang", "dead", "freeze", "kill", "reboot", "server"] as const;
type Trouble = (typeof troubles)[number];

const rounds = 5;
/** Between two rounds: some leases end in it, others don't. */
const pauseMs = { least: 3000, more: 30_000 } as const;
/** How often the host that has the guest is meant, and how often something ends before all does. */
const often = { owner: 0.7, ended: 0.3 } as const;

/** Makes trouble at both hosts and the server, at times several kinds at once, ends it all, and judges. */
export async function playTroubles(
  zone: RealZone,
  watch: WriterWatch,
  { leased, kept }: Pair,
  seed: number,
  tell: (line: string) => void,
): Promise<void> {
  const random = seededRandom(seed);
  const pick = <T>(all: readonly [T, ...T[]]): T => all[Math.floor(random() * all.length)] ?? all[0];
  const { client } = zone;
  const fromMs = uptimeMs();
  const script: string[] = [];
  const note = (what: string): void => void script.push(`${((uptimeMs() - fromMs) / 1000).toFixed(1)} ${what}`);
  const keptBefore = await client.get("Instance", kept);
  const keptHost = ownerOf(keptBefore);
  const keptWas = await witness(zone, kept);
  const keptProcesses = await processesOf(keptBefore.metadata.id);
  const epochBefore = (await client.get("Instance", leased)).assignment?.epoch ?? 0;
  const rebooted = new Set<NodeName>();
  /** What goes on, and how it ends. */
  const open = new Map<string, () => Promise<void>>();

  const begin = async (trouble: Trouble, node: NodeName): Promise<void> => {
    const name = trouble === "server" ? trouble : `${trouble} ${node}`;
    // Nothing can be done to a host that stands still, and a hanging agent can't die twice.
    const barred = [`freeze ${node}`, `hang ${node}`, `dead ${node}`].some((other) => open.has(other));
    if (open.has(name) || (trouble !== "server" && trouble !== "cut" && barred)) return;
    if (trouble === "cut" && open.has(`freeze ${node}`)) return;
    note(name);
    switch (trouble) {
      case "cut":
        open.set(name, await zone.cutOff(node));
        return;
      case "dead":
        open.set(name, await zone.leaveAgentDead(node));
        return;
      case "hang":
        await zone.inHost(node, "systemctl", "kill", "--signal=STOP", "skerry-agent");
        open.set(
          name,
          async () => void (await zone.inHost(node, "systemctl", "kill", "--signal=CONT", "skerry-agent")),
        );
        return;
      case "freeze":
        await watch.freeze(node);
        open.set(name, () => watch.thaw(node));
        return;
      case "kill":
        return zone.killAgent(node);
      case "reboot":
        // Its firewall's rules go with it.
        open.delete(`cut ${node}`);
        rebooted.add(node);
        return zone.reboot(node);
      case "server":
        return zone.killServer();
    }
  };
  const end = async (name: string): Promise<void> => {
    const mend = open.get(name);
    open.delete(name);
    note(`end of ${name}`);
    await mend?.();
  };

  let intent = 0;
  try {
    for (let round = 0; round < rounds; round += 1) {
      const owner = ownerOf(await client.get("Instance", leased));
      await begin(pick(troubles), random() < often.owner ? owner : pick(nodeNames));
      await delay(pauseMs.least + random() * pauseMs.more);
      const [first] = open.keys();
      if (first !== undefined && random() < often.ended) await end(first);
      intent += 1;
      await client.patch("Instance", leased, { metadata: { labels: { intent: `${seed}-${intent}` } } });
    }
  } finally {
    // Hosts that stand still first: the other ends need them.
    for (const name of [...open.keys()].toSorted((one) => (one.startsWith("freeze") ? -1 : 1))) await end(name);
    tell(script.join(", "));
  }

  const well = await eventually(
    "all is well again",
    async () => {
      const instance = await client.get("Instance", leased);
      const volume = await client.get("Volume", leased);
      const { id } = instance.metadata;
      const left = [...(instance.assignment?.former ?? []), ...(volume.assignment?.copies ?? [])];
      const nodes = await Promise.all(nodeNames.map((name) => client.get("Node", { name })));
      const writers = watch.history.filter((one) => one.instanceId === id && one.untilMs === undefined);
      const isWell =
        instance.status.health === "healthy" &&
        (await client.get("Instance", kept)).status.health === "healthy" &&
        nodes.every(({ status }) => status.connected) &&
        left.length === 0 &&
        writers.length === 1 &&
        writers[0]?.node === instance.assignment?.node &&
        writers[0]?.epoch === instance.assignment?.epoch;
      return isWell && instance;
    },
    replacedMs,
  );
  assert.equal(well.metadata.labels["intent"], `${seed}-${intent}`, "an acknowledged intent was lost");
  assert.equal((await processesOf(well.metadata.id)).length, 1);
  // An earlier play has been judged.
  const written = watch.history.filter(({ untilMs = Infinity }) => untilMs >= fromMs);
  assert.deepEqual(overlaps(written), []);
  const keptIs = await eventually("what is kept answers", () => witness(zone, kept));
  assert.equal(keptIs.data, keptWas.data);
  if (!rebooted.has(keptHost))
    assert.deepEqual([await processesOf(keptBefore.metadata.id), keptIs.boot], [keptProcesses, keptWas.boot]);
  tell(`${(well.assignment?.epoch ?? 0) - epochBefore} replacements, ${written.length} stretches of writing`);
}
