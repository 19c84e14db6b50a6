import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import {
  judge,
  readLog,
  startRegisterLoad,
  startReplicaSet,
  type ReplicaProcess,
  type ReplicaSet,
} from "@skerry/testkit";

/* Three replicas as processes, a PostgreSQL, and clients at each replica all the while. */
describe("three replicas under load", { timeout: 300_000 }, () => {
  let set: ReplicaSet;
  before(async () => {
    set = await startReplicaSet(3);
  });
  after(() => set[Symbol.asyncDispose]());

  /** Runs load while `fault` happens to the leader; then every replica must tell the same, right story. */
  async function survives(fault: (leader: ReplicaProcess) => Promise<void>): Promise<string> {
    const limit = AbortSignal.timeout(120_000);
    const load = startRegisterLoad(
      set.replicas.map(({ client }) => client),
      2,
    );
    await load.nextAcknowledgement(limit);
    const startedMs = performance.now();
    await fault(await set.leader());
    const { endedMs } = await load.nextAcknowledgement(limit);
    await set.allAnswer(limit);
    // Each client once more, so that all have seen the new order.
    for (let turn = 0; turn < 3; turn++) await load.nextAcknowledgement(limit);
    await load.stop();
    const newest = Math.max(...load.attempts.map(({ revision = 0 }) => revision));
    const logs = await Promise.all(set.replicas.map(({ client }) => readLog(client, newest, limit)));
    const [log = []] = logs;
    for (const other of logs) assert.deepEqual(other, log);
    // Changes of earlier tests are in the log and in the first reads too.
    const ids = new Set(load.attempts.map(({ id }) => id));
    const own = <T extends { readonly id: string | undefined }>(all: readonly T[]): T[] =>
      all.filter(({ id = "" }) => ids.has(id));
    const verdict = judge(load.attempts, own(load.reads), own(log));
    assert.deepEqual(
      { ...verdict, acknowledged: 0 },
      { acknowledged: 0, lost: [], appliedTwice: [], contradictions: [] },
    );
    return `${verdict.acknowledged} acknowledged, ${load.reads.length} reads, next one ${Math.round(endedMs - startedMs)} ms after the fault began`;
  }

  test("the leader killed: another leads, and nothing that was acknowledged is lost or made twice", async (t) => {
    const told = await survives(async (leader) => {
      await leader.signal("SIGKILL");
      leader.start();
    });
    t.diagnostic(told);
  });

  test("the leader stopped until it is deposed, then woken: it follows, and its old changes never come", async (t) => {
    const told = await survives(async (leader) => {
      await leader.signal("SIGSTOP");
      while ((await set.leader()) === leader) await delay(20);
      await leader.signal("SIGCONT");
    });
    t.diagnostic(told);
  });

  test("the leader cut off from the database: another leads while it can't", async (t) => {
    const told = await survives(async (leader) => {
      leader.pathToDatabase.cut();
      while ((await set.leader()) === leader) await delay(20);
      leader.pathToDatabase.join();
    });
    t.diagnostic(told);
  });

  test("the database restarted, softly and hard", async (t) => {
    t.diagnostic(await survives(() => set.postgres.restart("fast")));
    t.diagnostic(await survives(() => set.postgres.restart("immediate")));
  });
});
