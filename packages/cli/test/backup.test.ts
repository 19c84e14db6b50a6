import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { cp, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createNodeClient } from "@skerry/sdk/node";
import {
  readBackupFolder,
  restoreBackupFolder,
  startServer,
  writeBackupFolder,
  type RunningServer,
} from "@skerry/server";

const forever = new AbortController().signal;

describe("a control plane's backup", () => {
  let folder: string;
  let server: RunningServer;
  const start = (dataDir: string): Promise<RunningServer> =>
    startServer(
      {
        dataDir,
        listen: [{ host: "127.0.0.1", port: 0 }],
        advertise: [],
        version: "0.0.0-test",
        writeLog: () => undefined,
      },
      forever,
    );
  const clientOf = async (running: RunningServer, tokenFile: string) =>
    createNodeClient({
      server: running.url,
      token: (await readFile(tokenFile, "utf8")).trim(),
      authority: await readFile(running.caFile, "utf8"),
    });
  const content = randomBytes(10_000);
  const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "skerry-backup-"));
    server = await start(join(folder, "first"));
    const client = await clientOf(server, server.adminTokenFile);
    await client.put("Organisation", { name: "acme" }, { spec: {} });
    await client.put("Project", { name: "web" }, { spec: { organisation: "acme" } });
    const spec = {
      format: "raw",
      digest,
      sizeBytes: content.length,
      virtualSizeMiB: 1,
      architecture: "x86_64",
    } as const;
    await client.put("Image", { project: "web", name: "disk" }, { spec });
    await client.uploadImage({ project: "web", name: "disk" }, new Blob([content]).stream(), content.length);
  });
  after(async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  test("made while it runs and restored elsewhere, is the same zone: authority, tokens, objects and images", async () => {
    const client = await clientOf(server, server.adminTokenFile);
    const sources = { state: await client.openBackup(), dataDir: join(folder, "first") };
    const summary = await writeBackupFolder(join(folder, "backup"), sources);
    assert.equal(summary.images, 1);
    const dataDir = join(folder, "second");
    assert.deepEqual(await restoreBackupFolder(join(folder, "backup"), { dataDir }), summary);
    await using restored = await start(dataDir);
    assert.equal(await readFile(restored.caFile, "utf8"), await readFile(server.caFile, "utf8"));
    // The administrator's token comes along, for its owner alone, and opens the new control plane.
    assert.equal(restored.hasAdminTokenFile, true);
    assert.equal(await readFile(restored.adminTokenFile, "utf8"), await readFile(server.adminTokenFile, "utf8"));
    assert.equal((await stat(restored.adminTokenFile)).mode & 0o777, 0o600);
    const again = await clientOf(restored, restored.adminTokenFile);
    assert.equal((await again.get("Image", { project: "web", name: "disk" })).status.state, "ready");
    assert.deepEqual(await readFile(join(dataDir, "images", digest.replace(":", "-"))), content);
    assert.deepEqual(
      (await again.listAll("Project")).map(({ metadata }) => metadata.id),
      (await client.listAll("Project")).map(({ metadata }) => metadata.id),
    );
  });

  test("is whole however late it is read", async () => {
    const client = await clientOf(server, server.adminTokenFile);
    const content = await client.openBackup();
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    for (let round = 0; round < 5; round++) {
      collect();
      await delay(20);
    }
    const lines = (await text(content)).trimEnd().split("\n");
    assert.ok(lines.length > 5 && lines.at(-1)?.includes("sha256") === true, `${lines.length} lines`);
  });

  test("is refused by its name where a byte of any file is not what it was, or a file is gone", async () => {
    const whole = join(folder, "backup");
    for (const path of (await readdir(whole, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(whole.length + 1))) {
      for (const harm of ["flip", "remove"] as const) {
        const copy = join(folder, "harmed");
        await rm(copy, { recursive: true, force: true });
        await cp(whole, copy, { recursive: true });
        const bytes = await readFile(join(copy, path));
        const middle = Math.floor(bytes.length / 2);
        bytes[middle] = (bytes[middle] ?? 0) ^ 1;
        if (harm === "flip") await writeFile(join(copy, path), bytes);
        else await rm(join(copy, path));
        await assert.rejects(readBackupFolder(copy), { code: "digest-mismatch" }, `${harm} ${path}`);
      }
    }
  });

  test("that an older version made has no administrator's token, and is restored all the same", async () => {
    const older = join(folder, "older");
    await cp(join(folder, "backup"), older, { recursive: true });
    await rm(join(older, "keys/admin.token"));
    const sums = await readFile(join(older, "SHA256SUMS"), "utf8");
    await writeFile(join(older, "SHA256SUMS"), sums.replace(/^.*admin\.token\n/m, ""));
    await restoreBackupFolder(older, { dataDir: join(folder, "third") });
    await using restored = await start(join(folder, "third"));
    assert.equal(restored.hasAdminTokenFile, false, "the old tokens stay valid, so that none is made");
    await (await clientOf(restored, server.adminTokenFile)).listAll("Project");
  });

  test("overwrites nothing: neither another backup nor a control plane", async () => {
    const client = await clientOf(server, server.adminTokenFile);
    const sources = { state: await client.openBackup(), dataDir: join(folder, "first") };
    await assert.rejects(writeBackupFolder(join(folder, "backup"), sources), { code: "already-exists" });
    const before = await readFile(join(folder, "second/sealing.key"));
    await assert.rejects(restoreBackupFolder(join(folder, "backup"), { dataDir: join(folder, "second") }), {
      code: "already-exists",
    });
    assert.deepEqual(await readFile(join(folder, "second/sealing.key")), before);
  });

  test("is given to no one but an administrator of the zone", async () => {
    const client = await clientOf(server, server.adminTokenFile);
    for (const spec of [{ role: "viewer" }, { role: "operator" }, { role: "admin", project: "web" }] as const) {
      const name = `${spec.role}-${"project" in spec ? "web" : "zone"}`;
      const { secret = "" } = await client.put("ApiToken", { name }, { spec });
      const authority = await readFile(server.caFile, "utf8");
      const other = createNodeClient({ server: server.url, token: secret, authority });
      await assert.rejects(
        other.openBackup(),
        (error: { code: string }) => /^(forbidden|not-found)$/.test(error.code),
        name,
      );
    }
  });
});
