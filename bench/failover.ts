/**
 * How long three replicas are without a leader: time from the kill -9 of the leader to the first acknowledged change that was
 * asked for after it, with clients at each replica all the while, and what the history says of lost and repeated changes.
 * Real processes over TLS, a private PostgreSQL on the same machine. Keeps its samples in bench/results/failover.json.
 *
 *   node bench/failover.ts [--runs 5] [--json]
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeMachine, judge, readLog, startRegisterLoad, startReplicaSet } from "@skerry/testkit";

const { values } = parseArgs({
  options: { runs: { type: "string", default: "5" }, json: { type: "boolean", default: false } },
});
const runs = Number(values.runs);
const replicas = 3;
const loopsPerReplica = 2;

await using set = await startReplicaSet(replicas);
const clients = set.replicas.map(({ client }) => client);
const samplesMs: number[] = [];
const totals = { acknowledged: 0, lost: 0, appliedTwice: 0, contradictions: 0 };
for (let run = 1; run <= runs; run++) {
  const limit = AbortSignal.timeout(120_000);
  const load = startRegisterLoad(clients, loopsPerReplica);
  await load.nextAcknowledgement(limit);
  const leader = await set.leader();
  const killedMs = performance.now();
  await leader.signal("SIGKILL");
  const { endedMs } = await load.nextAcknowledgement(limit);
  samplesMs.push(Math.round(endedMs - killedMs));
  leader.start();
  await set.allAnswer(limit);
  await load.stop();
  const newest = Math.max(...[...load.attempts, ...load.reads].map(({ revision = 0 }) => revision));
  const ids = new Set(load.attempts.map(({ id }) => id));
  const log = (await readLog(set.replicas[0]?.client ?? leader.client, newest, limit)).filter(({ id }) => ids.has(id));
  const verdict = judge(
    load.attempts,
    load.reads.filter(({ id = "" }) => ids.has(id)),
    log,
  );
  totals.acknowledged += verdict.acknowledged;
  totals.lost += verdict.lost.length;
  totals.appliedTwice += verdict.appliedTwice.length;
  totals.contradictions += verdict.contradictions.length;
  if (!values.json) process.stdout.write(`run ${run}: ${samplesMs.at(-1)} ms, ${verdict.acknowledged} acknowledged\n`);
}
const sorted = samplesMs.toSorted((a, b) => a - b);
const leaderLossMs = { median: sorted[Math.floor(sorted.length / 2)], max: sorted.at(-1) };
const machine = { ...describeMachine(), load: loadavg()[0] };
const report = { leaderLossMs, ...totals, replicas, runs, samplesMs, machine, at: new Date().toISOString() };
const results = join(import.meta.dirname, "results");
mkdirSync(results, { recursive: true });
writeFileSync(join(results, "failover.json"), `${JSON.stringify(report, undefined, 2)}\n`);
process.stdout.write(
  values.json
    ? `${JSON.stringify(report)}\n`
    : `without a leader: median ${leaderLossMs.median} ms, longest ${leaderLossMs.max} ms; ${totals.acknowledged} changes acknowledged, ` +
        `${totals.lost} lost, ${totals.appliedTwice} made twice, ${totals.contradictions} contradictions\n`,
);
if (totals.lost + totals.appliedTwice + totals.contradictions > 0) process.exitCode = 1;
