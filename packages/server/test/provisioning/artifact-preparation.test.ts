import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { request } from "node:https";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { SkerryError } from "@skerry/model";
import { startServer, type RunningServer } from "../../src/main.ts";
import { makeSshProvisioner } from "../../src/provisioning/ssh-provisioner.ts";

const forever = new AbortController().signal;
const key = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
const diskFull = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });

describe("what is installed on hosts", { timeout: 60_000 }, () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "skerry-artifacts-"));
  });
  after(() => rm(folder, { recursive: true }));

  const start = (name: string, bundleAgent: () => Promise<unknown>, log: (line: string) => void) =>
    startServer(
      {
        dataDir: join(folder, name),
        listen: [{ host: "127.0.0.1", port: 0 }],
        advertise: [],
        version: "0.0.0-test",
        bundleAgent,
        writeLog: log,
      },
      forever,
    );
  async function putProvider(server: RunningServer, name: string, spec: object): Promise<number | undefined> {
    const call = request(`${server.url}/api/v1/providers/${name}`, {
      method: "PUT",
      ca: await readFile(server.caFile),
      agent: false,
      headers: {
        authorization: `Bearer ${(await readFile(server.adminTokenFile, "utf8")).trim()}`,
        "content-type": "application/json",
      },
    });
    call.end(JSON.stringify({ spec }));
    const [response] = (await once(call, "response")) as [IncomingMessage];
    response.resume();
    return response.statusCode;
  }

  test("is prepared once hosts may come: when such a provider is declared, and at each start after that", async () => {
    let prepared = 0;
    let begun = Promise.withResolvers<void>();
    const bundle = async (): Promise<never> => {
      prepared += 1;
      begun.resolve();
      throw diskFull;
    };
    const lines: string[] = [];
    const logged = Promise.withResolvers<void>();
    const log = (line: string): void => {
      lines.push(line);
      if (line.includes("could not be prepared")) logged.resolve();
    };
    await using first = await start("zone", bundle, log);
    assert.equal(await putProvider(first, "hand", { driver: "manual", country: "ES" }), 201);
    assert.equal(prepared, 0, "agents that join by themselves need nothing");
    const ssh = { user: "root", privateKey: key };
    assert.equal(await putProvider(first, "bare", { driver: "ssh", country: "ES", ssh }), 201);
    await begun.promise;
    await logged.promise;
    assert.match(lines.join(""), /no space left.*--artifacts-dir/s);
    assert.equal(await putProvider(first, "other", { driver: "manual", country: "ES" }), 201, "the server goes on");
    await first.close();
    begun = Promise.withResolvers();
    await using second = await start("zone", bundle, log);
    await begun.promise;
    await second.close();
    assert.equal(prepared, 2);
  });

  test("what failed ahead is tried again by provisioning, which tells the cause and the remedy", async () => {
    let attempts = 0;
    const provisioner = makeSshProvisioner({
      bundleAgent: async () => {
        attempts += 1;
        throw diskFull;
      },
      cacheDir: join(folder, "full"),
      serverUrl: "https://127.0.0.1:1",
      zoneId: "zone",
      stopping: forever,
    });
    const isFull = (error: unknown): boolean =>
      error instanceof SkerryError && error.code === "storage-full" && /artifacts-dir/.test(error.remedy ?? "");
    await assert.rejects(provisioner.prepare(), isFull);
    const [connect] = provisioner.steps({
      nodeName: "n1",
      address: "127.0.0.1",
      port: 1,
      user: "root",
      privateKey: key,
      mintJoinToken: async () => "",
    });
    await assert.rejects(async () => connect?.run(() => undefined, forever), isFull);
    assert.equal(attempts, 2);
  });
});
