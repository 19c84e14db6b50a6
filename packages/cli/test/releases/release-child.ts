// Writes what a release keeps for the tests of all later ones into the folder it is told: the data directories of a server and
// a node after real work, what the API said of every object, and the agent's bundle. For `./skerry release`.
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { buildAgentBundle } from "@skerry/agent";
import { kindNames } from "@skerry/model";
import { ended, eventually, project, startZone, workload } from "../zone.ts";

const folder = process.argv[2] ?? "";
mkdirSync(folder, { recursive: true });
const zone = await startZone(16 * 1024);
try {
  const { client } = zone;
  const at = (name: string) => ({ project, name });
  const onAlpha = { ...workload, placement: { nodes: ["alpha"] } };
  await ended(client, await client.put("Instance", at("web"), { spec: onAlpha, labels: { tier: "front" } }));
  const twin = { ...onAlpha, onDisconnect: { replaceAfterSeconds: 60 } };
  await ended(client, await client.put("Instance", at("mover"), { spec: twin }, { idempotencyKey: "mover-1" }));
  await client.put("Organisation", { name: "keyed" }, { spec: {} }, { idempotencyKey: "keyed-1" });
  const onBeta = { ...workload, placement: { nodes: ["beta"] } };
  await ended(client, await client.put("Instance", at("resting"), { spec: onBeta }));
  await ended(client, await client.put("Instance", at("resting"), { spec: { ...onBeta, power: "stopped" } }));
  await ended(client, await client.action("Instance", at("web"), "reboot"));
  await ended(client, await client.put("Instance", at("gone"), { spec: onBeta }));
  await ended(client, await client.delete("Instance", at("gone")));
  await client.put("ApiToken", { name: "viewer" }, { spec: { role: "viewer", project } });
  await client.put("JoinToken", { name: "unused" }, { spec: { site: "beta" } });
  const privateKey = `-----BEGIN OPENSSH PRIVATE KEY-----\n${randomBytes(48).toString("base64")}\n-----END OPENSSH PRIVATE KEY-----\n`;
  const ssh = { user: "admin", privateKey };
  await client.put("Provider", { name: "sealed" }, { spec: { driver: "ssh", country: "DK", ssh } });
  for (const node of ["alpha", "beta"] as const) {
    await zone.stop(node);
    await eventually(`${node} is away`, async () => !(await client.get("Node", { name: node })).status.connected);
  }
  const objects = [];
  for (const kind of kindNames) objects.push(...(await client.listAll(kind)));
  await zone.stop("server");
  writeFileSync(join(folder, "objects.json.gz"), gzipSync(JSON.stringify(objects), { level: 9 }));
  for (const name of ["server", "alpha"]) {
    rmSync(join(zone.folder, name, "agent-artifacts"), { recursive: true, force: true });
    execFileSync("tar", ["--create", "--gzip", "--sparse", "--file", join(folder, `${name}.tar.gz`), name], {
      cwd: zone.folder,
    });
  }
  const bundle = join(zone.folder, "agent.mjs");
  await buildAgentBundle(bundle);
  execFileSync("gzip", ["--best", "--no-name", bundle]);
  execFileSync("cp", [`${bundle}.gz`, join(folder, "agent.mjs.gz")]);
} finally {
  await zone.close();
}
