import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { buildAgentBundle } from "../src/bundle.ts";
import { eventually } from "./contract/deadline.ts";
import { freePort } from "./gateway/free-port.ts";
import { TestGateway } from "./gateway/test-gateway.ts";
import { wantedInstance, wantedVolume, wish } from "./gateway/wishes.ts";
import { temporaryFolder } from "./temporary-folder.ts";

test("one file with nothing beside it joins, runs guests, and stays small", async (t) => {
  await using folder = await temporaryFolder();
  const gateway = await TestGateway.open();
  await using undo = new AsyncDisposableStack();
  undo.defer(() => gateway.vanish());
  const bundle = join(folder.path, "agent.mjs");
  const bytes = await buildAgentBundle(bundle);
  assert.equal((await stat(bundle)).size, bytes);
  assert.ok(bytes < 700_000, `${bytes} bytes are to be copied to each node`);
  const config = join(folder.path, "config.json");
  const settings = {
    serverUrl: gateway.url,
    dataFolder: join(folder.path, "data"),
    driver: "simulated",
    dataAddress: "127.0.0.1",
    dataPort: await freePort(),
  };
  await writeFile(config, JSON.stringify(settings));
  const flags = ["--max-semi-space-size=1", "--disable-warning=ExperimentalWarning", bundle];
  const options = { cwd: folder.path, env: {} };
  await promisify(execFile)(
    process.execPath,
    [...flags, "join", "--config", config, "--token", gateway.joinToken()],
    options,
  );
  const agent = spawn(process.execPath, [...flags, "run", "--config", config], { ...options, stdio: "ignore" });
  undo.defer(() => void agent.kill("SIGKILL"));
  const [nodeId = ""] = gateway.nodes.keys();
  await eventually("it reports", () => gateway.node(nodeId).observed, 20_000);
  const disk = wantedVolume();
  const guest = wantedInstance(disk.id);
  gateway.want(nodeId, wish(nodeId, { volumes: [disk], instances: [guest] }));
  const facts = await eventually("it runs a guest", () => {
    const report = gateway.answered(nodeId);
    return report?.instances[0]?.state === "running" ? report.facts : undefined;
  });
  t.diagnostic(`bundle ${bytes} bytes, resident ${facts.agentResidentMiB ?? "?"} MiB`);
  assert.ok((facts.agentResidentMiB ?? Infinity) <= 90, `${facts.agentResidentMiB} MiB resident`);
  agent.kill("SIGTERM");
  const [code] = (await once(agent, "exit")) as [number | null];
  assert.equal(code, 0);
});
