import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { startServer } from "@skerry/server";
import { createNodeClient } from "@skerry/sdk/node";

const program = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

describe("skerry fleet", { timeout: 300_000 }, () => {
  let folder: string;
  let server: Awaited<ReturnType<typeof startServer>>;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "skerry-fleet-"));
    const listen = [{ host: "127.0.0.1", port: 0 }];
    const options = { dataDir: join(folder, "zone"), listen, advertise: [], version: "0.0.0-test" };
    server = await startServer({ ...options, writeLog: () => undefined }, new AbortController().signal);
  });
  after(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });

  /** @param during what to do once it runs; Ctrl-C follows */
  async function fleet(flags: readonly string[], during?: () => Promise<void>): Promise<Record<string, number>> {
    const child = spawn(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", program, "fleet", "--output", "json", "--sites", "3", ...flags],
      {
        stdio: ["ignore", "pipe", "pipe"],
        env: {
          ...process.env,
          SKERRY_SERVER: server.url,
          SKERRY_TOKEN_FILE: server.adminTokenFile,
          SKERRY_AUTHORITY: server.caFile,
          SKERRY_CONTEXTS: join(folder, "contexts.json"),
          XDG_STATE_HOME: folder,
        },
      },
    );
    const [output, errors, exited] = [text(child.stdout), text(child.stderr), once(child, "exit")];
    try {
      await during?.();
    } finally {
      if (during !== undefined) child.kill("SIGINT");
    }
    const [code] = (await exited) as [number | null];
    assert.equal(code, 0, await errors);
    return JSON.parse(await output) as Record<string, number>;
  }

  test("links nodes that run what they are told to, and brings the same back the next time", async () => {
    const flags = ["--nodes", "12", "--boot", "0:20", "--failing", "25"];
    const client = createNodeClient({
      server: server.url,
      token: readFileSync(server.adminTokenFile, "utf8").trim(),
      authority: readFileSync(server.caFile, "utf8"),
    });
    let instances: Awaited<ReturnType<typeof client.listAll<"Instance">>> = [];
    const first = await fleet([...flags, "--instances-per-node", "2"], async () => {
      const deadline = Date.now() + 120_000;
      const isDone = (state: string): boolean => state === "running" || state === "failed";
      while (instances.length < 24 || !instances.every(({ status }) => isDone(status.state))) {
        assert.ok(Date.now() < deadline, "not all instances came to an end");
        await delay(100);
        instances = await client.listAll("Instance");
      }
    });
    const nodes = await client.listAll("Node");
    assert.deepEqual([first["linked"], first["failed"], first["refusedInstances"]], [12, 0, 0]);
    assert.deepEqual([nodes.length, instances.length], [12, 24]);
    const failing = new Set(
      nodes.filter(({ metadata }) => metadata.labels["simulated"] === "failing").map((node) => node.metadata.id),
    );
    assert.equal(failing.size, 3);
    const states = instances.map(({ assignment, status }) => [failing.has(assignment?.nodeId ?? ""), status.state]);
    for (const [isFailing, state] of states) assert.equal(state, isFailing === true ? "failed" : "running");
    assert.ok((first["running"] ?? 0) <= states.filter(([isFailing]) => isFailing !== true).length);
    assert.equal((await fleet([...flags, "--for", "0"]))["linked"], 12);
    const again = await client.listAll("Node");
    assert.deepEqual(
      again.map(({ metadata }) => metadata.id),
      nodes.map(({ metadata }) => metadata.id),
    );
  });

  test("refuses numbers that make no fleet", async () => {
    for (const flags of [
      ["--nodes", "0"],
      ["--boot", "300:100"],
      ["--slow", "60", "--failing", "60"],
    ])
      await assert.rejects(fleet(flags), /write LEAST:MOST|nodes is none|1 at most together/);
  });
});
