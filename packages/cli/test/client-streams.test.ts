import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { joinAgent, makeJsonLog, runAgent } from "@skerry/agent";
import { SkerryError } from "@skerry/model";
import type { ByteStream, Client, WatchEvent } from "@skerry/sdk";
import { createNodeClient } from "@skerry/sdk/node";
import { startServer, type RunningServer } from "@skerry/server";
import { ended, eventually } from "./zone.ts";

const forever = new AbortController().signal;
const key = { project: "lab", name: "web" };

/* One process: a server, an agent with simulated guests, and the client between them over real TLS. */
describe("the client", { timeout: 60_000 }, () => {
  let folder: string;
  let server: RunningServer;
  let client: Client;
  let agentEnds: Promise<void>;
  const stopAgent = new AbortController();
  const agentLog: string[] = [];
  const start = (port: number): Promise<RunningServer> =>
    startServer(
      {
        dataDir: join(folder, "server"),
        listen: [{ host: "127.0.0.1", port }],
        advertise: [],
        version: "0.0.0-test",
        writeLog: () => undefined,
      },
      forever,
    );
  const connect = async (token: string): Promise<Client> =>
    createNodeClient({ server: server.url, token, authority: await readFile(server.caFile, "utf8") });

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "skerry-client-"));
    server = await start(0);
    client = await connect((await readFile(server.adminTokenFile, "utf8")).trim());
    await client.put("Organisation", { name: "lab" }, { spec: {} });
    await client.put("Project", { name: "lab" }, { spec: { organisation: "lab" } });
    await client.put("Provider", { name: "p1" }, { spec: { driver: "manual", country: "ES" } });
    const site = { provider: "p1", country: "ES", latitude: 40, longitude: -3, tier: "cloud" } as const;
    await client.put("Site", { name: "s1" }, { spec: site });
    const { secret = "" } = await client.put("JoinToken", { name: "t1" }, { spec: { site: "s1", node: "n1" } });
    const dataFolder = join(folder, "n1");
    await joinAgent({ dataFolder, server: server.url, token: secret }, forever);
    const options = { dataFolder, driver: "simulated", listenAddress: "127.0.0.1", dataPort: 0 } as const;
    agentEnds = runAgent(
      options,
      makeJsonLog((line) => void agentLog.push(line), Date.now),
      stopAgent.signal,
    );
    await client.put("Network", { project: "lab", name: "lan" }, { spec: { cidr: "10.42.0.0/24" } });
    await eventually(
      "the node reports",
      async () => (await client.get("Node", { name: "n1" })).status.facts !== undefined,
    );
  });
  after(async () => {
    stopAgent.abort(new Error("the test is over"));
    await agentEnds;
    await server.close();
    await rm(folder, { recursive: true });
  });

  async function readUntil(stream: ByteStream, expected: string): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of stream.readable) {
      text += decoder.decode(chunk, { stream: true });
      if (text.includes(expected)) break;
    }
    return text;
  }
  const isCode = (code: string) => (error: unknown) => error instanceof SkerryError && error.code === code;

  test("uploads an image, deploys it and follows the operation to its end", async () => {
    const content = randomBytes(2 * 1024 * 1024);
    const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
    const image = {
      digest,
      sizeBytes: content.length,
      format: "raw",
      architecture: "x86_64",
      virtualSizeMiB: 2,
    } as const;
    await client.put("Image", { project: "lab", name: "disk" }, { spec: image });
    await assert.rejects(
      client.uploadImage(
        { project: "lab", name: "disk" },
        new Blob([content.subarray(1)]).stream(),
        content.length - 1,
      ),
      isCode("digest-mismatch"),
    );
    await client.uploadImage({ project: "lab", name: "disk" }, new Blob([content]).stream(), content.length);
    assert.equal((await client.get("Image", { project: "lab", name: "disk" })).status.state, "ready");

    const spec = { image: "disk", vcpus: 1, memoryMiB: 64, networks: ["lan"] };
    const { changes: plan } = await client.plan("Instance", key, { verb: "put", draft: { spec } });
    assert.deepEqual(
      new Set(plan.filter(({ type }) => type === "created").map(({ kind }) => kind)),
      new Set(["Instance", "Volume", "Operation"]),
    );
    await assert.rejects(client.get("Instance", key), isCode("not-found"));
    const states: string[] = [];
    const operation = await ended(client, await client.put("Instance", key, { spec }), ({ status }) =>
      states.push(status.state),
    );
    assert.equal(operation.status.state, "succeeded");
    assert.equal(states.at(-1), "succeeded");
  });

  test("reaches the guest's console both ways, its log, and a port", async () => {
    const screen = await client.openConsole(key);
    const writer = screen.writable.getWriter();
    await writer.write(new TextEncoder().encode("hello\r"));
    assert.match(await readUntil(screen, "hello"), /hello/);
    screen.close();

    const log = await client.openConsoleLog(key, { follow: false });
    assert.ok((await readUntil(log, "\0never")).length > 0);

    const port = await client.openPort(key, 80);
    const request = port.writable.getWriter();
    await request.write(new TextEncoder().encode("GET / HTTP/1.1\r\nhost: guest\r\nconnection: close\r\n\r\n"));
    assert.match(await readUntil(port, "HTTP/1.1 "), /^HTTP\/1\.1 200/);
    port.close();
  });

  test("says why a stream does not open, whoever refuses it", async () => {
    const tenant = await client.put("ApiToken", { name: "viewer" }, { spec: { role: "viewer", project: "lab" } });
    const viewer = await connect(tenant.secret ?? "");
    await assert.rejects(viewer.openConsole(key), isCode("forbidden"));
    await assert.rejects(client.openConsole({ ...key, name: "gone" }), isCode("not-found"));
    await ended(client, await client.action("Instance", key, "stop"));
    await assert.rejects(client.openConsole(key), (error: unknown) => {
      return isCode("node-driver-failed")(error) && error instanceof Error && /console/.test(error.message);
    });
  });

  test("watches every change once and in order while the server restarts, and throws what ends the watch", async () => {
    const stop = new AbortController();
    const seen: WatchEvent[] = [];
    const since = (await client.list("Organisation")).revision;
    const enough = (async () => {
      for await (const event of client.watch(since, stop.signal, ["Organisation"])) {
        seen.push(event);
        if (event.object.metadata.name === "after-2") return;
      }
    })();
    for (const name of ["before-1", "before-2"]) await client.put("Organisation", { name }, { spec: {} });
    await server.close();
    server = await start(Number(new URL(server.url).port));
    for (const name of ["after-1", "after-2"]) await client.put("Organisation", { name }, { spec: {} });
    await enough;
    assert.deepEqual(
      seen.map(({ object }) => object.metadata.name),
      ["before-1", "before-2", "after-1", "after-2"],
    );
    const { revision } = await client.list("Organisation");
    await assert.rejects(Array.fromAsync(client.watch(revision + 1000, forever)), isCode("revision-too-old"));
    const gone = createNodeClient({ server: "https://127.0.0.1:1", token: "x" });
    await assert.rejects(gone.list("Site"), isCode("unavailable"));
  });

  test("the agent's log says who ended its link, and why", async () => {
    const ends = agentLog
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter((entry) => "closeCode" in entry);
    assert.equal(ends.length, 1, agentLog.join(""));
    const [{ level, message, endedBy, closeCode, reason }] = ends as [Record<string, unknown>];
    assert.deepEqual(
      { level, message, endedBy, closeCode, reason },
      {
        level: "info",
        message: "the link to the server ended",
        endedBy: "server",
        closeCode: 1001,
        reason: "the server stops",
      },
    );
  });
});
