import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createReadStream, openSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import { SkerryError } from "@skerry/model";
import { verifyExport } from "@skerry/server";
import { readLog, startReplicaSet, survive, type ReplicaProcess, type ReplicaSet } from "@skerry/testkit";
import { exportAudit } from "../../src/audit-export.ts";
import { imageFlags } from "../../src/commands/image-flags.ts";
import { eventually } from "../zone.ts";

const program = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

interface Told {
  readonly changes: readonly { readonly kind: string; readonly name: string; readonly revision: number }[];
}

/* Three replicas as processes, a PostgreSQL, and clients at each replica all the while. */
describe("three replicas under load", { timeout: 300_000 }, () => {
  let set: ReplicaSet;
  before(async () => {
    set = await startReplicaSet(3);
  });
  after(() => set[Symbol.asyncDispose]());

  const survives = (fault: (leader: ReplicaProcess) => Promise<void>): Promise<string> => survive(set, fault);

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

  test("a creation asked for again with its Idempotency-Key, of the next leader, is not made again", async () => {
    const create = ({ client }: ReplicaProcess) =>
      client.put("Organisation", { name: "once" }, { spec: {} }, { ifAbsent: true, idempotencyKey: "only-once" });
    const leader = await set.leader();
    const { resource } = await create(leader);
    await leader.signal("SIGKILL");
    const other = set.replicas.find((replica) => replica !== leader) ?? leader;
    const again = await eventually("another leads", () => create(other));
    leader.start();
    await set.allAnswer(AbortSignal.timeout(60_000));
    assert.deepEqual(again.resource, resource);
  });

  test("wall clocks set on and back by an hour and a day, of the leader and of those that follow: the leader leads on", async (t) => {
    const hourMs = 3_600_000;
    const told = await survive(set, async (leader) => {
      const epoch = await set.epoch();
      for (const replica of set.replicas) {
        for (const offsetMs of [hourMs, -hourMs, 24 * hourMs, -24 * hourMs, 0]) {
          await replica.setClock(offsetMs);
          await replica.client.put("Organisation", { name: "clock" }, { spec: { displayName: `${offsetMs}` } });
        }
      }
      // Its own clock stamps what it writes, so that the test has set what it meant to set.
      await leader.setClock(24 * hourMs);
      await leader.client.put("Organisation", { name: "clock" }, { spec: { displayName: "ahead" } });
      const { updatedAt } = (await leader.client.get("Organisation", { name: "clock" })).metadata;
      assert.ok(Date.parse(updatedAt) - Date.now() > 23 * hourMs, updatedAt);
      await leader.setClock(0);
      assert.deepEqual([await set.epoch(), (await set.leader()).index], [epoch, leader.index]);
    });
    t.diagnostic(told);
  });

  test("a token holds by the wall clock of the replica that is asked, and is as it was when that is set right", async () => {
    const hourMs = 3_600_000;
    const [asked] = set.replicas;
    if (asked === undefined) throw new Error("there are no replicas");
    const { secret = "" } = await asked.client.put(
      "ApiToken",
      { name: "brief" },
      { spec: { role: "viewer", lifetimeSeconds: 7200 } },
    );
    // The replica shows it then: a client that knows of no revision is answered from what is there.
    await asked.client.get("ApiToken", { name: "brief" });
    const brief = asked.makeClient(secret);
    for (const [offsetMs, holds] of [
      [hourMs, true],
      [3 * hourMs, false],
      [-24 * hourMs, true],
      [0, true],
    ] as const) {
      await asked.setClock(offsetMs);
      const answer = await brief.list("Organisation").then(
        () => true,
        (error: unknown) => (error instanceof SkerryError ? error.code : error),
      );
      assert.equal(answer, holds || "unauthenticated");
    }
  });

  test("an agent is linked through whichever replica it dials, and gets work from each leader in turn", async (t) => {
    const [asked, dialled] = set.replicas;
    if (asked === undefined || dialled === undefined) throw new Error("there are no replicas");
    const { client } = asked;
    const project = "web";
    await client.put("Organisation", { name: "acme" }, { spec: {} });
    await client.put("Project", { name: project }, { spec: { organisation: "acme" } });
    await client.put("Provider", { name: "lagoon" }, { spec: { driver: "manual", country: "ES" } });
    const site = { provider: "lagoon", country: "ES", latitude: 36.5, longitude: -6.3, tier: "cloud" } as const;
    await client.put("Site", { name: "cadiz" }, { spec: site });
    const file = join(set.folder, "disk.raw");
    await writeFile(file, randomBytes(65_536));
    const image = await imageFlags.spec({ file, format: "raw", architecture: "x86_64" }, AbortSignal.timeout(10_000));
    await client.put("Image", { project, name: "disk" }, { spec: image });
    await client.uploadImage({ project, name: "disk" }, Readable.toWeb(createReadStream(file)), 65_536);
    const { secret = "" } = await client.put(
      "JoinToken",
      { name: "one" },
      { spec: { site: "cadiz", node: "cadiz-1" } },
    );
    t.after(await startAgent(dialled.url, secret));

    for (const name of ["first", "second"]) {
      const spec = { image: "disk", vcpus: 1, memoryMiB: 64, power: "running" } as const;
      // Refused while nobody leads, and while no node is linked to who does.
      await eventually(`${name} is accepted`, () => client.put("Instance", { project, name }, { spec }));
      await eventually(`${name} runs`, async () => {
        const { status } = await client.get("Instance", { project, name });
        return status.state === "running";
      });
      const leader = await set.leader();
      await leader.signal("SIGKILL");
      leader.start();
      await set.allAnswer(AbortSignal.timeout(60_000));
    }
  });

  test("after all that the audit log is one whole chain at every replica, and tells of each change of an organisation once", async () => {
    const signal = AbortSignal.timeout(60_000);
    const heads = new Set<string>();
    for (const { client, index } of set.replicas) {
      const file = join(set.folder, `audit-${index}.jsonl`);
      await exportAudit(client, file, undefined, () => undefined, signal);
      const { fault, head, records } = await verifyExport(createReadStream(file));
      assert.deepEqual([fault, head.seq], [undefined, records]);
      heads.add(`${head.seq}:${head.hash}`);
      const { revision } = await client.list("Organisation", {}, signal);
      const made = (await readLog(client, revision, signal)).map((change) => `${change.revision} ${change.register}`);
      const lines = (await readFile(file, "utf8")).trimEnd().split("\n").slice(1);
      const told = lines
        .flatMap((line) => (JSON.parse(line) as { readonly record: Told }).record.changes)
        .filter(({ kind }) => kind === "Organisation")
        .map((change) => `${change.revision} ${change.name}`);
      assert.ok(made.length > 20, `${made.length}`);
      assert.deepEqual(told, made);
    }
    assert.equal(heads.size, 1);
  });

  /** A node with simulated guests; returns how to end it. */
  async function startAgent(server: string, token: string): Promise<() => Promise<void>> {
    const folder = join(set.folder, "agent");
    await mkdir(folder);
    await writeFile(join(folder, "token"), token, { mode: 0o600 });
    const words = ["agent", "run", "--driver", "simulated", "--data-dir", folder, "--server", server];
    const argv = [program, ...words, "--token-file", join(folder, "token"), "--data-address", "127.0.0.1:0"];
    const log = openSync(join(folder, "log"), "a");
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", ...argv], {
      stdio: ["ignore", log, log],
    });
    return async () => {
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    };
  }
});
