import assert from "node:assert/strict";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { globSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import type { KindName, ResourceOf } from "@skerry/model";
import type { Client } from "@skerry/sdk";
import { createNodeClient } from "@skerry/sdk/node";
import { startServer, type RunningServer } from "@skerry/server";
import { eventually, freePorts, project, workload } from "./zone.ts";

const program = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const releases = globSync("releases/v*", { cwd: import.meta.dirname }).toSorted();
type Stored = ResourceOf<KindName>;

/** What may differ from what was once told: what time alone changes. */
const passing: ReadonlySet<string> = new Set(["conditions", "seenAt"]);

/** Fails where something that was told is told otherwise now; what is new beside it is no harm. */
function holds(now: unknown, then: unknown, path: string): void {
  if (typeof then !== "object" || then === null) return assert.deepEqual(now, then, path);
  assert.ok(typeof now === "object" && now !== null, path);
  if (Array.isArray(then)) assert.equal((now as unknown[]).length, then.length, path);
  for (const [key, value] of Object.entries(then))
    if (!passing.has(key)) holds(Reflect.get(now, key), value, `${path}/${key}`);
}

for (const release of releases) {
  /* What `./skerry release` kept of it, under today's code. */
  describe(`release ${basename(release)}`, { timeout: 180_000 }, () => {
    const kept = join(import.meta.dirname, release);
    const then = JSON.parse(gunzipSync(readFileSync(join(kept, "objects.json.gz"))).toString()) as readonly Stored[];
    const agents: ChildProcess[] = [];
    let folder: string;
    let server: RunningServer;
    let client: Client;

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), "skerry-release-"));
      for (const name of ["server", "alpha"])
        execFileSync("tar", ["--extract", "--no-same-owner", "--file", join(kept, `${name}.tar.gz`)], { cwd: folder });
      const options = { dataDir: join(folder, "server"), listen: [{ host: "127.0.0.1", port: 0 }], advertise: [] };
      const writeLog = (): void => undefined;
      server = await startServer({ ...options, version: "0.0.0-test", writeLog }, new AbortController().signal);
      client = createNodeClient({
        server: server.url,
        token: (await readFile(server.adminTokenFile, "utf8")).trim(),
        authority: await readFile(server.caFile, "utf8"),
      });
    });
    after(async () => {
      for (const agent of agents) {
        const ended = once(agent, "exit");
        if (agent.kill("SIGKILL")) await ended;
      }
      await server.close();
      await rm(folder, { recursive: true, force: true });
    });

    /** @param argv the program; @param more what the first start needs */
    async function startAgent(argv: readonly string[], name: string, more: readonly string[] = []): Promise<void> {
      const [port = 0] = await freePorts(1);
      const log = openSync(join(folder, `${name}.log`), "a");
      const words = ["run", "--driver", "simulated", "--data-dir", join(folder, name), "--server", server.url];
      const all = [
        "--disable-warning=ExperimentalWarning",
        ...argv,
        ...words,
        "--data-address",
        `127.0.0.1:${port}`,
        ...more,
      ];
      agents.push(spawn(process.execPath, all, { stdio: ["ignore", log, log] }));
    }
    async function serves(name: string): Promise<ResourceOf<"Instance">> {
      return eventually(`${name} serves`, async () => {
        const instance = await client.get("Instance", { project, name });
        const { state, health, conditions } = instance.status;
        return state === "running" && health === "healthy" && conditions.length === 0 && instance;
      });
    }

    test("its administrator asks today's server, which tells of all what was told then", async () => {
      const own = then.filter(({ kind }) => kind !== "JoinToken"); // Those that are used or over are cleared away.
      for (const object of own) {
        const found = await client.get(object.kind, object.metadata);
        holds(found, object, `${object.kind}/${object.metadata.name}`);
      }
    });

    test("its agent joins today's server, and runs what it is told to", async () => {
      const name = "veteran";
      const bundle = join(folder, "agent.mjs");
      writeFileSync(bundle, gunzipSync(readFileSync(join(kept, "agent.mjs.gz"))));
      const { secret = "" } = await client.put("JoinToken", { name }, { spec: { site: "beta", node: name } });
      writeFileSync(join(folder, "token"), secret, { mode: 0o600 });
      await startAgent([bundle], name, ["--token-file", join(folder, "token")]);
      await eventually("it is linked", async () => (await client.get("Node", { name })).status.connected);
      const spec = { ...workload, placement: { nodes: [name] } };
      await client.put("Instance", { project, name: "today" }, { spec });
      assert.equal((await serves("today")).assignment?.node, name);
      await client.delete("Instance", { project, name: "today" });
      await eventually("it is gone", () =>
        client.get("Instance", { project, name: "today" }).then(
          () => false,
          () => true,
        ),
      );
    });

    test("its node runs what it ran under today's agent, with today's server", async () => {
      const before = then.find(({ kind, metadata }) => kind === "Instance" && metadata.name === "web");
      assert.ok(before?.kind === "Instance");
      // Its simulated guests have their disks where they were, and the agent dials where its server was when it joined.
      for (const file of globSync("alpha/simulated/definitions/*.json", { cwd: folder })) {
        const path = join(folder, file);
        writeFileSync(
          path,
          readFileSync(path, "utf8").replaceAll(/"path":"[^"]*\/alpha\//g, `"path":"${folder}/alpha/`),
        );
      }
      const identity = join(folder, "alpha/identity.json");
      const known = JSON.parse(readFileSync(identity, "utf8")) as object;
      writeFileSync(identity, JSON.stringify({ ...known, server: server.url }));
      await startAgent([program, "agent"], "alpha");
      const { metadata, assignment, status } = await serves("web");
      assert.equal(metadata.id, before.metadata.id);
      assert.deepEqual([assignment, status.addresses], [before.assignment, before.status.addresses]);
    });
  });
}

test("there is a release to look at", () => {
  assert.ok(releases.length > 0);
});
