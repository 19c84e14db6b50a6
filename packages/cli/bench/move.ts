/**
 * A cold move of one small instance between two provisioned hosts of a testbed, against a plain copy (`ssh … cat`) of the
 * same file between the same hosts over the same delayed link, in turn. Needs root on Debian. Keeps its samples in
 * bench/results/move.json.
 *
 *   node packages/cli/bench/move.ts [--runs 3] [--json]
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { copyFile, rm } from "node:fs/promises";
import { loadavg } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { describeMachine } from "@skerry/testkit";
import type { ResourceKey } from "@skerry/sdk";
import { makeMover } from "../test/real-move.ts";
import { nodeNames, startRealZone, type NodeName, type RealZone } from "../test/real-zone.ts";
import { ended } from "../test/zone.ts";

const { values } = parseArgs({
  options: { runs: { type: "string", default: "3" }, json: { type: "boolean", default: false } },
});
const runs = Number(values.runs);

interface Move {
  readonly totalMs: number;
  readonly downtimeMs: number;
  readonly stopMs: number;
  readonly copyMs: number;
  /** What went over the wire. */
  readonly bytes: number;
}

interface PlainCopy {
  readonly ms: number;
  readonly bytes: number;
  /** What the file takes of its disk, and what the guest sees of it. */
  readonly allocatedBytes: number;
  readonly virtualBytes: number;
}

/** Where the testbed's key lies on the sending host, for the time of the benchmark. */
const keyPath = "/root/bench-key";
const sent = "/var/tmp/bench-sent";

/** Copies the instance's disk file, as it is now, by ssh to where the next move will take it. */
async function plainCopy(zone: RealZone, from: NodeName, to: NodeName): Promise<PlainCopy> {
  const name = (await zone.kept(from, "volumes")).find((entry) => entry.endsWith(".qcow2"));
  if (name === undefined) throw new Error(`${from} has no disk`);
  // A copy, so that the guest does not change it meanwhile; in the page cache, as a disk just closed is.
  await zone.inHost(from, "cp", "--sparse=auto", `/var/lib/skerry/volumes/${name}`, sent);
  const [bytes = 0, blocks = 0] = (await zone.inHost(from, "stat", "-c", "%s %b", sent)).trim().split(" ").map(Number);
  const info = JSON.parse(await zone.inHost(from, "qemu-img", "info", "--output=json", "-f", "qcow2", sent)) as {
    readonly "virtual-size": number;
  };
  const settings = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"];
  const ssh = ["ssh", "-i", keyPath, ...settings.flatMap((one) => ["-o", one])];
  const remote = `${zone.testbed.sshUser}@${zone.host(to).address}`;
  const fromMs = performance.now();
  // Durable at the other end, as a moved disk is.
  await zone.inHost(
    from,
    ...["sh", "-c", 'exec "$@" < /var/tmp/bench-sent', "sh", ...ssh, remote],
    "dd of=/var/tmp/bench-arrived bs=1M iflag=fullblock conv=fsync status=none",
  );
  const ms = Math.round(performance.now() - fromMs);
  return { ms, bytes, allocatedBytes: blocks * 512, virtualBytes: info["virtual-size"] };
}

async function move(zone: RealZone, key: ResourceKey, to: NodeName): Promise<Move> {
  const fromMs = performance.now();
  const { status } = await ended(zone.client, await zone.client.action("Instance", key, "migrate", { toNode: to }));
  if (status.state !== "succeeded") throw new Error(`the move ended as ${status.state}: ${status.problem?.detail}`);
  const { downtimeMs, stopMs, copyMs, bytes } = status.result ?? {};
  return {
    totalMs: Math.round(performance.now() - fromMs),
    downtimeMs: Number(downtimeMs),
    stopMs: Number(stopMs),
    copyMs: Number(copyMs),
    bytes: Number(bytes),
  };
}

function spread(figures: readonly number[]): { readonly median: number; readonly max: number } {
  const sorted = figures.toSorted((a, b) => a - b);
  return { median: sorted[Math.floor(sorted.length / 2)] ?? 0, max: sorted.at(-1) ?? 0 };
}

const zone = await startRealZone();
try {
  for (const node of nodeNames) {
    await copyFile(zone.testbed.sshPrivateKeyPath, join(zone.host(node).rootPath, keyPath));
    await zone.inHost(node, "chmod", "0600", keyPath);
  }
  const key = await makeMover(zone, "mover");
  const samples: { readonly plain: PlainCopy; readonly move: Move; readonly load: number }[] = [];
  let accelerator = "unknown";
  for (let run = 0; run < runs; run += 1) {
    const { assignment, status } = await zone.client.get("Instance", key);
    accelerator = status.accelerator ?? accelerator;
    const [from, to] = assignment?.node === "alpha" ? (["alpha", "beta"] as const) : (["beta", "alpha"] as const);
    const plain = await plainCopy(zone, from, to);
    samples.push({ plain, move: await move(zone, key, to), load: loadavg()[0] ?? 0 });
  }
  for (const node of nodeNames) await rm(join(zone.host(node).rootPath, keyPath), { force: true });
  const plain = spread(samples.map((sample) => sample.plain.ms));
  const copy = spread(samples.map((sample) => sample.move.copyMs));
  const total = spread(samples.map((sample) => sample.move.totalMs));
  const down = spread(samples.map((sample) => sample.move.downtimeMs));
  const ratio = (one: number, other: number): number => Number((one / other).toFixed(2));
  const report = {
    benchmark: "move",
    date: new Date().toISOString(),
    machine: describeMachine(),
    accelerator,
    wan: { oneWayDelayMsPerLink: 10, links: 2 },
    moveMs: total,
    downtimeMs: down,
    copyPhaseMs: copy,
    plainCopyMs: plain,
    copyToPlain: ratio(copy.median, plain.median),
    moveToPlain: ratio(total.median, plain.median),
    samples,
  };
  const kept = join(import.meta.dirname, "../../../bench/results/move.json");
  mkdirSync(dirname(kept), { recursive: true });
  writeFileSync(kept, `${JSON.stringify(report, null, 2)}\n`);
  const [last] = samples.slice(-1);
  const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  process.stdout.write(
    values.json
      ? `${JSON.stringify(report, null, 2)}\n`
      : `${accelerator}: move ${total.median} ms (max ${total.max}), ${down.median} ms down (max ${down.max}), of it copying ` +
          `${copy.median} ms (max ${copy.max}); plain copy of the same ${mib(last?.plain.bytes ?? 0)} MiB ${plain.median} ms ` +
          `(max ${plain.max}); copying to plain ${report.copyToPlain}, all to plain ${report.moveToPlain}\n` +
          `disk of ${mib(last?.plain.virtualBytes ?? 0)} MiB: ${mib(last?.plain.bytes ?? 0)} MiB file, ` +
          `${mib(last?.move.bytes ?? 0)} MiB sent; ${runs} runs\n`,
  );
} finally {
  await zone.close();
}
