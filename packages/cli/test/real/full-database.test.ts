import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { SkerryError } from "@skerry/model";
import {
  mountSmallDisk,
  startReplicaSet,
  survive,
  type PostgresOptions,
  type ReplicaProcess,
  type ReplicaSet,
  type SmallDisk,
} from "@skerry/testkit";

/* A real file system without room under a real PostgreSQL; replicas as processes, and clients at each of them meanwhile. */
describe("replicas whose database has no room", { timeout: 300_000 }, () => {
  const settings = ["min_wal_size = '2MB'", "max_wal_size = '8MB'"];

  async function start(sizeMiB: number, place: (disk: SmallDisk) => PostgresOptions) {
    const disk = await mountSmallDisk(sizeMiB);
    const set = await startReplicaSet(2, { settings, ...place(disk) }).catch(async (error: unknown) => {
      await disk[Symbol.asyncDispose]();
      throw error;
    });
    return {
      ...{ disk, set },
      async [Symbol.asyncDispose]() {
        await set[Symbol.asyncDispose]();
        await disk[Symbol.asyncDispose]();
      },
    };
  }

  /** Changes something until that is refused for want of room; what the refusal says. */
  async function untilRefused({ client }: ReplicaProcess): Promise<SkerryError> {
    const untilMs = performance.now() + 60_000;
    for (let turn = 0; performance.now() < untilMs; turn++) {
      try {
        await client.put("Organisation", { name: "probe" }, { spec: { displayName: `turn ${turn}` } });
      } catch (error) {
        if (error instanceof SkerryError && error.code === "storage-full") return error;
      }
    }
    throw new Error("the disk never was full");
  }

  async function allRead(set: ReplicaSet): Promise<void> {
    const read = (replica: ReplicaProcess): Promise<unknown> =>
      replica.makeClient().list("Organisation", {}, AbortSignal.timeout(10_000));
    await Promise.all(set.replicas.map(read));
  }

  /** Begins one file of the write-ahead log after the other, which it needs room for. */
  async function useUpLog({ postgres }: ReplicaSet): Promise<void> {
    const database = `postgres://skerry@127.0.0.1:${postgres.port}/postgres`;
    const ended = postgres.ended().then(() => "ended");
    const next = (): Promise<string> =>
      postgres.query(database, "SELECT pg_switch_wal() FROM txid_current()").catch(() => "refused");
    while ((await Promise.race([ended, next().then(() => delay(20))])) !== "ended");
  }

  test("writes are refused with the remedy, reads go on, and when there is room again all goes on by itself", async (t) => {
    await using zone = await start(96, ({ path }) => ({ dataIn: path }));
    const { disk, set } = zone;
    const told = await survive(set, async (leader) => {
      await disk.fill();
      const refusal = await untilRefused(leader);
      assert.match(refusal.remedy ?? "", /Free some space there/);
      await allRead(set);
      // Long enough for a leader that is taken for dead to be replaced.
      const untilMs = performance.now() + 5000;
      while (performance.now() < untilMs) await untilRefused(leader);
      assert.equal((await set.leader()).index, leader.index);
      await disk.free();
    });
    t.diagnostic(told);
  });

  test("a PostgreSQL that ends itself, since it can't write its log, is waited for, and nobody is told what is not so", async (t) => {
    await using zone = await start(12, ({ path }) => ({ walIn: path }));
    const { disk, set } = zone;
    const told = await survive(set, async (leader) => {
      await disk.fill();
      await useUpLog(set);
      assert.match(await set.postgres.log(), /PANIC: .*No space left on device/);
      await allRead(set);
      // Answers when the leader has given up reaching it.
      await assert.rejects(leader.client.put("Organisation", { name: "probe" }, { spec: {} }), { code: "unavailable" });
      await allRead(set);
      await disk.free();
      await set.postgres.restart("fast");
    });
    t.diagnostic(told);
  });
});
