/**
 * What the agent of a provisioned host takes: processor time while a guest runs and nothing is asked, and memory after its start, and after each of a number of cold moves of one
 * instance to and fro, whose disk holds `--disk-mib` of random bytes, so that each agent sends it and receives it in turn.
 * Needs root on Debian. Keeps its samples in bench/results/agent.json.
 *
 *   node packages/cli/bench/agent.ts [--moves 10] [--disk-mib 64] [--json] [--unit "Environment=NAME=VALUE"]...
 *
 * `--unit` adds a line to the agent's systemd unit, to try another setting; such a run keeps nothing.
 */
import { writeFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { loadavg } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { describeMachine } from "@skerry/testkit";
import type { ResourceKey } from "@skerry/sdk";
import { makeMover } from "../test/real-move.ts";
import { islet, nodeNames, startRealZone, type NodeName, type RealZone } from "../test/real-zone.ts";
import { openSerialShell } from "../test/serial-shell.ts";
import { ended, eventually } from "../test/zone.ts";

const { values } = parseArgs({
  options: {
    moves: { type: "string", default: "10" },
    "disk-mib": { type: "string", default: "64" },
    unit: { type: "string", multiple: true, default: [] },
    json: { type: "boolean", default: false },
  },
});
const budgetMiB = 90;
/** After a move, before the agents are looked at: what is steady is asked for, not what a transfer takes. */
const settleMs = 5000;
/** How long the processor time of idle agents is watched. */
const idleMs = 60_000;
const dropIn = "etc/systemd/system/skerry-agent.service.d/bench.conf";

/** Of one agent, in MiB, as the kernel counts them; `peak` since its start. */
interface Memory {
  readonly resident: number;
  readonly anonymous: number;
  /** Node's own program, above all, which any number of processes share. */
  readonly file: number;
  readonly peak: number;
}

interface Sample {
  readonly moves: number;
  readonly agents: Readonly<Record<NodeName, Memory>>;
  readonly load: number;
}

async function agentProcess(zone: RealZone, node: NodeName): Promise<string> {
  const pid = await zone.inHost(node, "systemctl", "show", "--property=MainPID", "--value", "skerry-agent");
  return `/proc/${zone.host(node).leaderPid}/root/proc/${pid.trim()}`;
}

async function memoryOf(zone: RealZone, node: NodeName): Promise<Memory> {
  const status = await readFile(`${await agentProcess(zone, node)}/status`, "utf8");
  const read = (field: string): number => {
    const kibibytes = Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]);
    return Number((kibibytes / 1024).toFixed(1));
  };
  return { resident: read("VmRSS"), anonymous: read("RssAnon"), file: read("RssFile"), peak: read("VmHWM") };
}

async function look(zone: RealZone, moves: number): Promise<Sample> {
  await delay(settleMs);
  const [alpha, beta] = await Promise.all([memoryOf(zone, "alpha"), memoryOf(zone, "beta")]);
  return { moves, agents: { alpha, beta }, load: loadavg()[0] ?? 0 };
}

/** Seconds of processor time since the agent began. */
async function processorSeconds(zone: RealZone, node: NodeName): Promise<number> {
  const fields =
    (await readFile(`${await agentProcess(zone, node)}/stat`, "utf8")).split(") ").at(-1)?.split(" ") ?? [];
  // Fields 14 and 15 of proc(5), in hundredths.
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Percent of one core, of the agent that takes more. */
async function idleLoad(zone: RealZone): Promise<number> {
  const before = await Promise.all(nodeNames.map((node) => processorSeconds(zone, node)));
  const fromMs = performance.now();
  await delay(idleMs);
  const seconds = (performance.now() - fromMs) / 1000;
  const after = await Promise.all(nodeNames.map((node) => processorSeconds(zone, node)));
  const shares = after.map((spent, index) => ((spent - (before[index] ?? 0)) / seconds) * 100);
  return Number(Math.max(...shares).toFixed(2));
}

/** The agents start anew, with the lines that are tried. */
async function restartAgents(zone: RealZone): Promise<void> {
  for (const node of nodeNames) {
    const path = join(zone.host(node).rootPath, dropIn);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, ["[Service]", ...values.unit, ""].join("\n"));
    await zone.inHost(node, "systemctl", "daemon-reload");
    await zone.inHost(node, "systemctl", "restart", "skerry-agent");
  }
  await eventually("both agents are connected again", async () => {
    const nodes = await Promise.all(nodeNames.map((name) => zone.client.get("Node", { name })));
    return nodes.every(({ status }) => status.connected);
  });
}

async function fillDisk(zone: RealZone, key: ResourceKey, diskMiB: number): Promise<void> {
  const serial = await openSerialShell(zone.client, key);
  // In parts, for a command has to end soon on an emulated guest.
  for (let part = 0; part < diskMiB / 16; part += 1)
    await serial.run(`dd if=/dev/urandom of=/root/blob${part} bs=1M count=16 2>/dev/null && sync`);
  serial.close();
}

async function move(zone: RealZone, key: ResourceKey): Promise<number> {
  const { assignment } = await zone.client.get("Instance", key);
  const to = assignment?.node === "alpha" ? "beta" : "alpha";
  const { status } = await ended(zone.client, await zone.client.action("Instance", key, "migrate", { toNode: to }));
  if (status.state !== "succeeded") throw new Error(`the move ended as ${status.state}: ${status.problem?.detail}`);
  return Number(status.result?.["bytes"]);
}

function line({ moves, agents, load }: Sample): string {
  const each = nodeNames.map((node) => {
    const { resident, anonymous, file, peak } = agents[node];
    return `${node} ${resident} MiB (${anonymous} own, ${file} of files, peak ${peak})`;
  });
  return `after ${moves} moves: ${each.join(", ")}; load ${load.toFixed(1)}\n`;
}

const zone = await startRealZone();
try {
  const diskMiB = Number(values["disk-mib"]);
  // Room for the blobs beside the guest's own files.
  const key = await makeMover(zone, "mover", { ...islet, diskMiB: diskMiB + 128 });
  await fillDisk(zone, key, diskMiB);
  await restartAgents(zone);
  const samples: Sample[] = [];
  const note = (sample: Sample): void => {
    samples.push(sample);
    if (!values.json) process.stdout.write(line(sample));
  };
  note(await look(zone, 0));
  const idleCpuPercent = await idleLoad(zone);
  let bytes = 0;
  for (let count = 1; count <= Number(values.moves); count += 1) {
    bytes = await move(zone, key);
    note(await look(zone, count));
  }
  const steady = (sample: Sample | undefined): number =>
    Math.max(...nodeNames.map((node) => sample?.agents[node].resident ?? 0));
  const report = {
    benchmark: "agent",
    date: new Date().toISOString(),
    machine: describeMachine(),
    budgetMiB,
    bytesPerMove: bytes,
    idleCpuPercent,
    idleMiB: steady(samples[0]),
    steadyMiB: steady(samples.at(-1)),
    largestSteadyMiB: Math.max(...samples.map(steady)),
    peakMiB: Math.max(...nodeNames.map((node) => samples.at(-1)?.agents[node].peak ?? 0)),
    samples,
  };
  if (values.unit.length === 0)
    writeFileSync(
      join(import.meta.dirname, "../../../bench/results/agent.json"),
      `${JSON.stringify(report, null, 2)}\n`,
    );
  process.stdout.write(
    values.json
      ? `${JSON.stringify(report, null, 2)}\n`
      : `resident: ${report.idleMiB} MiB at first, ${report.steadyMiB} MiB after ${values.moves} moves of ` +
          `${(bytes / 2 ** 20).toFixed(1)} MiB, ${report.largestSteadyMiB} MiB at most between moves, ${report.peakMiB} MiB ` +
          `at most during one; budget ${budgetMiB} MiB; idle ${idleCpuPercent} % of a core\n`,
  );
  if (report.largestSteadyMiB > budgetMiB) process.exitCode = 1;
} finally {
  await zone.close();
}
