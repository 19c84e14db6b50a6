/**
 * Exact placements per CPU-second on a fleet that stays as full as it is: each request is decided, reserved, and gives back an older
 * reservation; beside it, in the same run, the same decisions by a look at every node, the bound that memory sets to such looks, and
 * refusals. Every decision of a sample is compared with what a look at every node finds. Keeps its figures in bench/results/placement.json.
 *
 *   ./skerry bench placement [--nodes 100000] [--requests 100000] [--shapes 64] [--runs 3] [--json]
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { NodeFleet, Placer } from "@skerry/placement";
import type { PlacementRequest, Reservation } from "@skerry/placement";
import { describeMachine, seededRandom } from "@skerry/testkit";
import { makeWorkload } from "./workload.ts";

const { values } = parseArgs({
  options: {
    nodes: { type: "string", default: "100000" },
    requests: { type: "string", default: "100000" },
    shapes: { type: "string", default: "64" },
    runs: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
  },
});
const [nodes, requests, runs] = [Number(values.nodes), Number(values.requests), Number(values.runs)];
const compared = 500;
const living = 20_000;

const shapes = Number(values.shapes);
const workload = makeWorkload(nodes, shapes, seededRandom(1));
let startMs = performance.now();
const placer = new Placer(new NodeFleet(workload.nodes));
placer.fleet.settle();
const layOutMs = Math.round(performance.now() - startMs);

const live: (Reservation | undefined)[] = [];
let oldest = 0;
function run(asked: readonly PlacementRequest[], waits: number[]): number {
  let refused = 0;
  for (const request of asked) {
    const startMs = performance.now();
    const { slot } = placer.best(request);
    if (slot < 0) refused++;
    else live.push(placer.fleet.reserve(slot, request));
    if (live.length - oldest > living) {
      const reservation = live[oldest];
      live[oldest++] = undefined;
      if (reservation !== undefined) placer.fleet.release(reservation);
    }
    waits.push(performance.now() - startMs);
  }
  return refused;
}

function cpuSeconds(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

const percentile = (list: readonly number[], part: number): number =>
  list.toSorted((a, b) => a - b)[Math.floor(list.length * part)] ?? 0;
const median = (list: readonly number[]): number => percentile(list, 0.5);
const round = (value: number, digits: number): number => Number(value.toFixed(digits));
const list = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);

/** Bytes per second of one thread that reads a column much larger than the caches. */
function memoryBandwidth(): number {
  const column = new Float64Array(2 ** 23);
  let sum = 0;
  const seconds = cpuSeconds(() => {
    for (let pass = 0; pass < 4; pass++) for (let at = 0; at < column.length; at += 8) sum += column[at] as number;
  });
  return sum === 0 ? (4 * column.byteLength) / seconds : 0;
}

function sample() {
  const asked = list(requests, workload.request);
  const waits: number[] = [];
  let refused = 0;
  const seconds = cpuSeconds(() => (refused = run(asked, waits)));
  const unseen = list(requests / 20, workload.unseen);
  const unseenWaits: number[] = [];
  const unseenSeconds = cpuSeconds(() => run(unseen, unseenWaits));
  const scanned = asked.slice(0, 300);
  const scanSeconds = cpuSeconds(() => scanned.forEach((request) => placer.bestByScan(request)));
  const refusals = list(5000, workload.refusal);
  const refusalWaits = refusals.map((request) => {
    startMs = performance.now();
    if (placer.best(request).slot >= 0) throw new Error(`a node fits ${JSON.stringify(request)}`);
    return performance.now() - startMs;
  });
  return {
    placementsPerCpuSecond: Math.round(requests / seconds),
    refused,
    unseenPerCpuSecond: Math.round(unseen.length / unseenSeconds),
    unseenP99Ms: round(percentile(unseenWaits, 0.99), 4),
    fullScanPerCpuSecond: round(scanned.length / scanSeconds, 1),
    scansAtMemoryBandwidth: round(memoryBandwidth() / (nodes * 80), 1),
    onePlacementMedianMs: round(median(waits), 4),
    onePlacementP99Ms: round(percentile(waits, 0.99), 4),
    onePlacementMaxMs: round(percentile(waits, 1 - 1e-9), 3),
    refusalMedianMs: round(median(refusalWaits), 4),
    refusalP99Ms: round(percentile(refusalWaits, 0.99), 4),
  };
}

run(list(living + 5000, workload.request), []); // Fills, and warms up.
const samples = list(runs, sample);
let oracleMismatches = 0;
for (const request of [...list(compared / 2, workload.request), ...list(compared / 2, workload.unseen)]) {
  const [found, scanned] = [placer.best(request), placer.bestByScan(request)];
  if (found.cost !== scanned.cost || found.slot !== scanned.slot) oracleMismatches++;
  if (found.slot >= 0) placer.fleet.reserve(found.slot, request);
}

type Figure = keyof (typeof samples)[number];
const middle = (figure: Figure): number => median(samples.map((sample) => sample[figure]));
const report = {
  benchmark: "placement",
  date: new Date().toISOString(),
  machine: describeMachine(),
  loadAverage: loadavg(),
  nodes,
  requests,
  shapes,
  placementsPerCpuSecond: middle("placementsPerCpuSecond"),
  unseenPerCpuSecond: middle("unseenPerCpuSecond"),
  unseenP99Ms: middle("unseenP99Ms"),
  fullScanPerCpuSecond: middle("fullScanPerCpuSecond"),
  scansAtMemoryBandwidth: middle("scansAtMemoryBandwidth"),
  onePlacementMedianMs: middle("onePlacementMedianMs"),
  onePlacementP99Ms: middle("onePlacementP99Ms"),
  refusalMedianMs: middle("refusalMedianMs"),
  refusalP99Ms: middle("refusalP99Ms"),
  oracleMismatches,
  compared,
  layOutMs,
  columnsMiB: round(placer.fleet.columns.buffer.byteLength / 2 ** 20, 1),
  residentMiB: Math.round(process.memoryUsage().rss / 2 ** 20),
  samples,
};
const text = `${JSON.stringify(report, null, 2)}\n`;
const kept = join(import.meta.dirname, "../../../bench/results/placement.json");
mkdirSync(join(kept, ".."), { recursive: true });
writeFileSync(kept, text);
if (values.json) process.stdout.write(text);
else {
  const ratio = Math.round(report.placementsPerCpuSecond / report.fullScanPerCpuSecond);
  process.stdout.write(
    `${nodes} nodes: ${report.placementsPerCpuSecond} placements per CPU-second (${report.unseenPerCpuSecond} of what was never asked before), ${ratio} times a look at every node ` +
      `(${report.fullScanPerCpuSecond}; memory alone would allow ${report.scansAtMemoryBandwidth}); one p99 ${report.onePlacementP99Ms} ms; ` +
      `refusal p99 ${report.refusalP99Ms} ms; ${oracleMismatches} of ${compared} compared differ\n`,
  );
}
if (oracleMismatches > 0) process.exitCode = 1;
