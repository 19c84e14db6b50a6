import assert from "node:assert/strict";
import { after, before, describe, test, type TestContext } from "node:test";
import pg from "pg";
import { SkerryError } from "@skerry/model";
import type { ReplicatedStore } from "@skerry/store";
import { startPostgres, type PrivatePostgres } from "@skerry/testkit";
import { wholeTrail } from "../../contract/audit-trail.ts";
import { follow } from "../../contract/feed-contract.ts";
import { instance } from "../../contract/samples.ts";
import { openReplica, roleOf, type ReplicaOptions } from "./place.ts";

let postgres: PrivatePostgres;
before(async () => {
  postgres = await startPostgres();
});
after(() => postgres[Symbol.asyncDispose]());

/** Opens replicas of one new database, and closes them after the test. */
async function replicasFor(t: TestContext): Promise<(options?: ReplicaOptions) => Promise<ReplicatedStore>> {
  const url = await postgres.makeDatabase();
  const opened: ReplicatedStore[] = [];
  t.after(() => Promise.all(opened.map((store) => store.close())));
  return async (options) => {
    const store = await openReplica(url, options);
    opened.push(store);
    return store;
  };
}

const put = (store: ReplicatedStore, serial: number) =>
  store.transact((tx) => tx.put(instance(serial, `i-${serial}`)), { actor: { name: "ana" }, cause: `put ${serial}` });

/** Revisions of what the whole chain of records tells. */
const audited = async (store: ReplicatedStore): Promise<readonly number[]> =>
  (await wholeTrail(store)).flatMap(({ changes }) => changes.map(({ revision }) => revision));

async function shows(store: ReplicatedStore, revision: number): Promise<void> {
  await follow(store, revision - 1, revision);
}

describe("replicas of one PostgreSQL store", () => {
  test("one leads and the others follow, show what it makes durable, know where it serves, and take no changes", async (t) => {
    const open = await replicasFor(t);
    const first = await open({ replicaUrl: "https://first" });
    const { epoch } = await roleOf(first, "leader");
    const second = await open({ replicaUrl: "https://second" });
    const { revision } = await put(first, 1);
    await shows(second, revision);
    assert.equal(
      second.get("Instance", { project: "default", name: "i-1" })?.metadata.id,
      first.list("Instance")[0]?.metadata.id,
    );
    assert.deepEqual(second.role, { kind: "follower", leader: { epoch, url: "https://first" } });
    await assert.rejects(put(second, 2), { code: "unavailable", message: /follows/ });
  });

  test("when the leader closes, a follower leads at once, under a higher epoch, with everything that was acknowledged", async (t) => {
    const open = await replicasFor(t);
    const first = await open();
    const { epoch } = await roleOf(first, "leader");
    const second = await open();
    await put(first, 1);
    assert.deepEqual(await audited(second), [1], "a follower shows the audit log too");
    await first.close();
    const next = await roleOf(second, "leader");
    assert.ok(next.epoch > epoch);
    assert.equal(second.list("Instance").length, 1);
    assert.equal((await put(second, 2)).revision, 2);
    assert.deepEqual(await audited(second), [1, 2]);
  });

  test("of many that start at once on an empty database exactly one leads", async (t) => {
    const open = await replicasFor(t);
    const stores = await Promise.all([1, 2, 3, 4, 5].map(() => open()));
    await Promise.race(stores.map((store) => roleOf(store, "leader")));
    const [leader] = stores.filter((store) => store.role.kind === "leader");
    assert.ok(leader !== undefined);
    const { revision } = await put(leader, 1);
    await Promise.all(stores.map((store) => shows(store, revision)));
    assert.equal(stores.filter((store) => store.role.kind === "leader").length, 1);
    assert.equal(new Set(stores.map((store) => store.zoneId)).size, 1);
  });

  test("a leader that was deposed without noticing can't commit, says that nothing was made, and follows", async (t) => {
    const url = await postgres.makeDatabase();
    const store = await openReplica(url);
    t.after(() => store.close());
    const { epoch } = await roleOf(store, "leader");
    await put(store, 1);
    const usurper = new pg.Client(url);
    await usurper.connect();
    t.after(() => usurper.end());
    // In one statement with a commit's worth of time before the leader's next sign of life.
    const deposed = "UPDATE skerry_leadership SET epoch = epoch + 1, holder = 'other', url = 'https://other'";
    const [, refused] = await Promise.all([
      usurper.query(deposed),
      usurper.query("SELECT 1").then(() => put(store, 2).catch((error: unknown) => error)),
    ]);
    assert.ok(refused instanceof SkerryError && refused.code === "unavailable");
    assert.equal(refused.facts?.["applied"] ?? "no", "no");
    const { rows } = await usurper.query<{ count: string }>("SELECT count(*) FROM skerry_changes");
    assert.equal(Number(rows[0]?.count), 1, "a deposed leader's change is in the log");
    assert.equal(store.list("Instance").length, 1);
    await roleOf(store, "follower");
    // The usurper shows no sign of life, and so this one leads again.
    const again = await roleOf(store, "leader");
    assert.equal(again.epoch, epoch + 2);
    assert.equal((await put(store, 2)).revision, 2);
    assert.deepEqual(await audited(store), [1, 2]);
  });

  test("as the lead goes to and fro, each leader's audit records follow on the other's", async (t) => {
    const url = await postgres.makeDatabase();
    const stores = [await openReplica(url), await openReplica(url)] as const;
    const client = new pg.Client(url);
    await client.connect();
    t.after(() => Promise.all([client.end(), ...stores.map((store) => store.close())]));
    let turns = 0;
    let last: ReplicatedStore | undefined;
    for (let round = 1; round <= 60 && turns < 4; round++) {
      await Promise.race(stores.map((store) => roleOf(store, "leader")));
      const leader = stores.find((store) => store.role.kind === "leader");
      assert.ok(leader !== undefined);
      if (last !== undefined && leader !== last) turns += 1;
      last = leader;
      await put(leader, round);
      assert.equal((await audited(leader)).length, round);
      const follows = roleOf(leader, "follower");
      // As where it has resigned: whoever looks first leads next.
      await client.query("UPDATE skerry_leadership SET epoch = epoch + 1, holder = ''");
      await follows;
    }
    assert.ok(turns >= 4, `the lead changed ${turns} times`);
  });

  test("a leader that stood still for longer than a take-over takes is not sure of it until the database has answered", async (t) => {
    const open = await replicasFor(t);
    const store = await open();
    await roleOf(store, "leader");
    await put(store, 1);
    assert.equal(store.surelyLeads, true);
    // As long as two take-overs take, and a moment.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2100);
    assert.deepEqual([store.role.kind, store.surelyLeads], ["leader", false]);
    await put(store, 2);
    assert.equal(store.surelyLeads, true);
    const follower = await open();
    await roleOf(follower, "follower");
    assert.equal(follower.surelyLeads, false);
  });

  test("a leader whose machine was suspended is not sure of it either, also where its process counts none of that time", async (t) => {
    let suspendedMs = 0;
    const open = await replicasFor(t);
    const store = await open({ monotonicMs: () => performance.now() + suspendedMs });
    await roleOf(store, "leader");
    await put(store, 1);
    assert.equal(store.surelyLeads, true);
    suspendedMs = 3_600_000;
    assert.deepEqual([store.role.kind, store.surelyLeads], ["leader", false]);
    await put(store, 2);
    assert.equal(store.surelyLeads, true);
  });

  test("the database restarted in the middle of commits, every transaction is made once, and known to be", async (t) => {
    const open = await replicasFor(t);
    const store = await open();
    await roleOf(store, "leader");
    for (const mode of ["fast", "immediate"] as const) {
      const from = store.list("Instance").length;
      let serial = from;
      let restarted = false;
      const outcomes: string[] = [];
      const first = Promise.withResolvers<void>();
      const load = async (): Promise<void> => {
        for (;;) {
          const own = ++serial;
          const outcome = await put(store, own).then(
            () => "made",
            (error: unknown) => (error instanceof SkerryError ? `refused: ${error.message}` : "broken"),
          );
          outcomes.push(`${own} ${outcome}`);
          if (outcome === "made") first.resolve();
          if (outcome !== "made") await roleOf(store, "leader");
          if (outcome === "made" && restarted) return;
        }
      };
      const loads = [load(), load(), load(), load()];
      await first.promise;
      await postgres.restart(mode);
      restarted = true;
      await Promise.all(loads);
      for (const line of outcomes) {
        const [own, outcome] = line.split(" ");
        const present = store.get("Instance", { project: "default", name: `i-${own}` }) !== undefined;
        assert.equal(outcome === "made", present, `${mode}: ${line}, and it is ${present ? "there" : "not there"}`);
      }
    }
    const events = await follow(store, 0, store.revision);
    assert.deepEqual(
      events.map(({ revision }) => revision),
      events.map((_, index) => index + 1),
    );
    assert.deepEqual(
      await audited(store),
      events.map(({ revision }) => revision),
    );
  });

  test("a change whose fate nobody knows ends the epoch, so that it can't come in any more, and the replica goes on under the next", async (t) => {
    const url = await postgres.makeDatabase();
    const store = await openReplica(url);
    t.after(() => store.close());
    const { epoch } = await roleOf(store, "leader");
    const client = new pg.Client(url);
    await client.connect();
    t.after(() => client.end());
    // The first commit loses its connection, the second one finds the disk full; sequences count what is undone as well.
    await client.query("CREATE SEQUENCE turns");
    await client.query(`CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
      DECLARE turn bigint := nextval('turns');
      BEGIN
        IF turn = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
        IF turn = 2 THEN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END IF;
        RETURN NEW;
      END $$`);
    await client.query("CREATE TRIGGER fail BEFORE INSERT ON skerry_objects FOR EACH ROW EXECUTE FUNCTION fail()");
    const follows = roleOf(store, "follower");
    await assert.rejects(put(store, 1), (error: SkerryError) => {
      assert.deepEqual([error.code, error.facts?.["applied"]], ["storage-full", "unknown"]);
      return true;
    });
    await follows;
    assert.equal((await roleOf(store, "leader")).epoch, epoch + 1);
    assert.equal((await put(store, 2)).revision, 1);
    assert.deepEqual(await audited(store), [1]);
    assert.deepEqual(
      store.list("Instance").map(({ metadata }) => metadata.name),
      ["i-2"],
    );
  });

  test("a leader that can't even show that it lives, for want of room, stays the leader, who says so", async (t) => {
    const url = await postgres.makeDatabase();
    const store = await openReplica(url);
    t.after(() => store.close());
    const role = await roleOf(store, "leader");
    await postgres.query(
      url,
      `CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$;
       CREATE TRIGGER fail BEFORE UPDATE ON skerry_leadership FOR EACH ROW EXECUTE FUNCTION fail()`,
    );
    const untilMs = performance.now() + 3000;
    while (performance.now() < untilMs) await assert.rejects(put(store, 1), { code: "storage-full" });
    assert.deepEqual(store.role, role);
    assert.equal(store.surelyLeads, false);
    await postgres.query(url, "DROP TRIGGER fail ON skerry_leadership");
    assert.equal((await put(store, 1)).revision, 1);
  });

  test("a database of version 1, which had no audit log, gets one, and is of today's version then", async (t) => {
    const url = await postgres.makeDatabase();
    const older = await openReplica(url);
    await roleOf(older, "leader");
    await put(older, 1);
    await older.close();
    const client = new pg.Client(url);
    await client.connect();
    t.after(() => client.end());
    await client.query("DROP TABLE skerry_audit; UPDATE skerry_meta SET value = '1' WHERE name = 'schema-version'");
    const store = await openReplica(url);
    t.after(() => store.close());
    await roleOf(store, "leader");
    await put(store, 2);
    assert.deepEqual(await audited(store), [2]);
    const { rows } = await client.query<{ value: string }>(
      "SELECT value FROM skerry_meta WHERE name = 'schema-version'",
    );
    assert.deepEqual(rows, [{ value: "2" }]);
  });

  test("where no audit record can be, there is no change either", async (t) => {
    const url = await postgres.makeDatabase();
    const store = await openReplica(url);
    await roleOf(store, "leader");
    await put(store, 1);
    const client = new pg.Client(url);
    await client.connect();
    t.after(() => client.end());
    await client.query("ALTER TABLE skerry_audit ADD CHECK (seq < 2)");
    await assert.rejects(put(store, 2), { code: "unavailable" });
    await store.close();
    const again = await openReplica(url);
    t.after(() => again.close());
    await roleOf(again, "leader");
    assert.equal(again.list("Instance").length, 1);
    assert.deepEqual(await audited(again), [1]);
  });

  test("a database of another zone's authority, and one that does not promise durability, are refused", async (t) => {
    const open = await replicasFor(t);
    await open({ family: "one" });
    await assert.rejects(open({ family: "other" }), { code: "unavailable", message: /another authority/ });
    await using hasty = await startPostgres({ settings: ["fsync = off"] });
    await assert.rejects(openReplica(await hasty.makeDatabase()), { code: "unavailable", message: /fsync is off/ });
  });

  test("a database that is not there is refused with the remedy and without the password", async () => {
    await assert.rejects(openReplica("postgres://skerry:hunter2@127.0.0.1:1/none"), (error: SkerryError) => {
      assert.equal(error.code, "unavailable");
      assert.match(error.message, /postgres:\/\/skerry@127\.0\.0\.1:1\/none can't be used/);
      assert.ok(!JSON.stringify([error.message, error.remedy, error.facts]).includes("hunter2"));
      return true;
    });
  });
});
