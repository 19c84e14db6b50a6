import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { SkerryError } from "@skerry/model";
import { startServer, type RunningServer, type ServerOptions } from "../src/main.ts";

const forever = new AbortController().signal;

describe("a control plane", { timeout: 60_000 }, () => {
  let parent: string;
  before(async () => {
    parent = await mkdtemp(join(tmpdir(), "skerry-start-"));
  });
  after(() => rm(parent, { recursive: true }));

  const lines: string[] = [];
  const options = (name: string, port = 0): ServerOptions => ({
    dataDir: join(parent, name),
    listen: [{ host: "127.0.0.1", port }],
    advertise: ["127.0.0.1"],
    version: "0.0.0-test",
    writeLog: (line) => void lines.push(line),
  });
  async function ask(
    server: RunningServer,
    method: string,
    path: string,
    body?: object,
  ): Promise<{ readonly status: number; readonly body: string }> {
    const token = (await readFile(server.adminTokenFile, "utf8")).trim();
    const call = request(`${server.url}${path}`, {
      method,
      ca: await readFile(server.caFile),
      agent: false,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
    });
    call.end(body === undefined ? undefined : JSON.stringify(body));
    const [response] = (await once(call, "response")) as [IncomingMessage];
    return { status: response.statusCode ?? 0, body: (await response.setEncoding("utf8").toArray()).join("") };
  }
  const isUnavailable = (error: unknown): boolean =>
    error instanceof SkerryError && error.code === "unavailable" && error.remedy !== undefined;

  test("starts in under a second, keeps what it was told across a restart, and never prints its token", async () => {
    await using first = await startServer(options("zone"), forever);
    const token = await readFile(first.adminTokenFile, "utf8");
    assert.equal((await stat(first.adminTokenFile)).mode & 0o777, 0o600);
    assert.equal((await stat(join(parent, "zone"))).mode & 0o777, 0o700);
    assert.equal((await ask(first, "PUT", "/api/v1/organisations/acme", { spec: {} })).status, 201);
    assert.equal((await ask(first, "PUT", "/api/v1/projects/ours", { spec: { organisation: "acme" } })).status, 201);
    const link = first.firstStartLink ?? "";
    assert.match(link, /^https:\/\/127\.0\.0\.1:\d+\/enrol\?code=ski1\.first\.[\w-]{43}$/);
    await first.close();
    await first.close();

    const usage = process.cpuUsage();
    await using second = await startServer(options("zone"), forever);
    // Processor time: it says the same on a machine that has other things to do.
    const { user, system } = process.cpuUsage(usage);
    assert.ok(user + system < 1_000_000, `${(user + system) / 1000} ms`);
    assert.equal(await readFile(second.adminTokenFile, "utf8"), token);
    assert.equal((await ask(second, "GET", "/api/v1/projects/ours")).status, 200);
    // Printed once; as long as nobody has used it there is another one in the same file.
    assert.equal(second.firstStartLink, undefined);
    assert.equal((await stat(second.firstStartFile ?? "")).mode & 0o777, 0o600);
    const next = await readFile(second.firstStartFile ?? "", "utf8");
    assert.ok(next.includes("ski1.first.") && !next.includes(link.slice(-43)));
    await second.close();
    assert.ok(!lines.join("").includes(token.trim()) && !lines.join("").includes("ski1."));
    for (const line of lines) assert.equal(typeof JSON.parse(line), "object");
  });

  test("makes a new admin's token where none is left, so that nobody is locked out", async () => {
    await using first = await startServer(options("locked"), forever);
    const old = await readFile(first.adminTokenFile, "utf8");
    assert.equal((await ask(first, "DELETE", "/api/v1/api-tokens/admin")).status, 200);
    assert.equal((await ask(first, "GET", "/api/v1/whoami")).status, 401);
    await first.close();
    await using second = await startServer(options("locked"), forever);
    assert.notEqual(await readFile(second.adminTokenFile, "utf8"), old);
    assert.equal((await ask(second, "GET", "/api/v1/whoami")).status, 200);
    await second.close();
  });

  test("state without its zone's keys is refused, and no others are made in their place", async () => {
    for (const key of ["pki/ca.pem", "pki/ca.key", "sealing.key"]) {
      const { dataDir, ...others } = options(`keyless-${key.replaceAll(/[/.]/g, "-")}`);
      await (await startServer({ ...others, dataDir }, forever)).close();
      const content = await readFile(join(dataDir, key));
      await rm(join(dataDir, key));
      await assert.rejects(startServer({ ...others, dataDir }, forever), (error: SkerryError) => {
        assert.match(error.message, new RegExp(`not its keys: ${key}`));
        return isUnavailable(error);
      });
      await writeFile(join(dataDir, key), content, { mode: 0o600 });
      await (await startServer({ ...others, dataDir }, forever)).close();
    }
  });

  test("a data directory or a port that another one has is refused with the remedy, and nothing stays open", async () => {
    await using running = await startServer(options("busy"), forever);
    const port = Number(new URL(running.url).port);
    await assert.rejects(startServer(options("busy"), forever), isUnavailable);
    await assert.rejects(startServer(options("other", port), forever), isUnavailable);
    await running.close();
    await (await startServer(options("other", port), forever)).close();
  });

  test("the signal stops it: event streams end, and the store is closed", async () => {
    const stop = new AbortController();
    await using server = await startServer(options("stopped"), stop.signal);
    const token = (await readFile(server.adminTokenFile, "utf8")).trim();
    const call = request(`${server.url}/api/v1/events`, {
      ca: await readFile(server.caFile),
      agent: false,
      headers: { authorization: `Bearer ${token}` },
    });
    call.end();
    const [events] = (await once(call, "response")) as [IncomingMessage];
    events.resume();
    const ended = once(events, "end");
    stop.abort();
    await ended;
    await server.close();
    await (await startServer(options("stopped"), forever)).close();
  });
});
