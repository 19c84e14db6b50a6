import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { joinAgent, makeJsonLog, runAgent } from "@skerry/agent";
import { createNodeClient } from "@skerry/sdk/node";
import { eventually } from "./zone.ts";

const program = fileURLToPath(new URL("../src/main.ts", import.meta.url));
/** On an idle machine it takes well under one second; what is left open would be cut after five. */
const patienceMs = 4500;

/* `skerry server` as a process of its own, with everything open that could keep it. */
describe("the server's process", { timeout: 300_000 }, () => {
  let folder: string;
  // A host that takes connections and says nothing, so that provisioning it stays under way.
  const sockets = new Set<Socket>();
  const silentHost = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
  });
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "skerry-process-"));
    await once(silentHost.listen(0, "127.0.0.1"), "listening");
  });
  after(async () => {
    for (const socket of sockets) socket.destroy();
    silentHost.close();
    await rm(folder, { recursive: true, force: true });
  });

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    test(`${signal} ends it soon and with code 0, whatever streams, links and operations are open`, async (t) => {
      const dataDir = join(folder, signal);
      const child = spawn(
        process.execPath,
        ["--disable-warning=ExperimentalWarning", program, "server", "--data-dir", dataDir, "--listen", "127.0.0.1:0"],
        { stdio: ["ignore", "ignore", "pipe"] },
      );
      let said = "";
      child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
      const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
      try {
        const url = await eventually("it serves", async () => /serves at (https:\S+)/.exec(said)?.[1]);
        const client = createNodeClient({
          server: url,
          token: (await readFile(join(dataDir, "admin.token"), "utf8")).trim(),
          authority: await readFile(join(dataDir, "pki/ca.pem"), "utf8"),
        });
        const { privateKey } = generateKeyPairSync("rsa", {
          modulusLength: 2048,
          privateKeyEncoding: { type: "pkcs1", format: "pem" },
          publicKeyEncoding: { type: "pkcs1", format: "pem" },
        });
        await client.put("Provider", { name: "hand" }, { spec: { driver: "manual", country: "ES" } });
        const ssh = { user: "root", privateKey };
        await client.put("Provider", { name: "bare" }, { spec: { driver: "ssh", country: "ES", ssh } });
        for (const provider of ["hand", "bare"]) {
          const spec = { provider, country: "ES", latitude: 40, longitude: -3, tier: "cloud" } as const;
          await client.put("Site", { name: provider }, { spec });
        }

        const { secret = "" } = await client.put("JoinToken", { name: "t1" }, { spec: { site: "hand", node: "n1" } });
        const dataFolder = join(folder, `agent-${signal}`);
        await joinAgent({ dataFolder, server: url, token: secret }, AbortSignal.timeout(20_000));
        const stopAgent = new AbortController();
        const agentEnds = runAgent(
          { dataFolder, driver: "simulated", listenAddress: "127.0.0.1", dataPort: 0 },
          makeJsonLog(() => undefined, Date.now),
          stopAgent.signal,
        );
        await eventually(
          "the agent is linked",
          async () => (await client.get("Node", { name: "n1" })).status.connected,
        );

        const stopWatching = new AbortController();
        const since = (await client.list("Node")).revision;
        const watching = Array.fromAsync(client.watch(since, stopWatching.signal)).catch(() => []);

        const sshPort = (silentHost.address() as AddressInfo).port;
        await client.put("Node", { name: "n2" }, { spec: { site: "bare", address: "127.0.0.1", sshPort } });
        await client.action("Node", { name: "n2" }, "provision");
        await eventually("an operation is under way", async () =>
          (await client.listAll("Operation")).some((operation) => operation.status.state === "running"),
        );

        const fromMs = performance.now();
        child.kill(signal);
        const [code, killedBy] = await exited;
        const tookMs = performance.now() - fromMs;
        assert.deepEqual([code, killedBy], [0, null], said);
        assert.ok(tookMs < patienceMs, `it took ${Math.round(tookMs)} ms`);
        assert.match(said, /the control plane has stopped/);
        stopWatching.abort();
        stopAgent.abort(new Error("the test is over"));
        await Promise.all([watching, agentEnds]);
        t.diagnostic(`it took ${Math.round(tookMs)} ms`);
      } finally {
        child.kill("SIGKILL");
        await exited;
      }
    });
  }
});
