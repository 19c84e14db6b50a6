import assert from "node:assert/strict";
import { judge } from "./history.ts";
import { readLog, startRegisterLoad } from "./register-load.ts";
import type { ReplicaProcess, ReplicaSet } from "./replica-set.ts";

const limitMs = 120_000;

/**
 * Runs load at every replica while `fault` happens; then every replica must tell the same, right story. Returns it in a few
 * figures. @throws AssertionError where something was lost, made twice or contradicts itself
 */
export async function survive(set: ReplicaSet, fault: (leader: ReplicaProcess) => Promise<void>): Promise<string> {
  const limit = AbortSignal.timeout(limitMs);
  const load = startRegisterLoad(
    set.replicas.map(({ client }) => client),
    2,
  );
  const startedMs = performance.now();
  let tookMs: number;
  try {
    await load.nextAcknowledgement(limit);
    await fault(await set.leader());
    tookMs = (await load.nextAcknowledgement(limit)).endedMs - startedMs;
    await set.allAnswer(limit);
    // Each client once more, so that all have seen the new order.
    for (let turn = 0; turn < 3; turn++) await load.nextAcknowledgement(limit);
  } finally {
    await load.stop();
  }
  const newest = Math.max(...[...load.attempts, ...load.reads].map(({ revision = 0 }) => revision));
  const logs = await Promise.all(set.replicas.map(({ client }) => readLog(client, newest, limit)));
  const [log = []] = logs;
  for (const other of logs) assert.deepEqual(other, log);
  // Changes of earlier trials are in the log and in the first reads too.
  const ids = new Set(load.attempts.map(({ id }) => id));
  const own = <T extends { readonly id: string | undefined }>(all: readonly T[]): T[] =>
    all.filter(({ id = "" }) => ids.has(id));
  const verdict = judge(load.attempts, own(load.reads), own(log));
  assert.deepEqual(
    { ...verdict, acknowledged: 0 },
    { acknowledged: 0, lost: [], appliedTwice: [], contradictions: [] },
  );
  const refused = load.attempts.filter(({ outcome }) => outcome === "refused").length;
  return (
    `${verdict.acknowledged} acknowledged, ${refused} refused, ${load.reads.length} reads, ` +
    `next one ${Math.round(tookMs)} ms after the load began`
  );
}
