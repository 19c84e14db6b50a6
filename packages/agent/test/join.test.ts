import assert from "node:assert/strict";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { SkerryError } from "@skerry/model";
import { agentCommand } from "../src/command.ts";
import { joinAgent } from "../src/join/join-agent.ts";
import { TestGateway } from "./gateway/test-gateway.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const never = new AbortController().signal;

async function openZone() {
  const gateway = await TestGateway.open();
  return { gateway, [Symbol.asyncDispose]: () => gateway.vanish() };
}

function isError(code: string, words: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof SkerryError && error.code === code && words.test(error.message);
}

describe("a join", () => {
  test("makes a key of the node's own, and is done once", async () => {
    await using zone = await openZone();
    await using folder = await temporaryFolder();
    const options = { dataFolder: folder.path, server: zone.gateway.url, token: zone.gateway.joinToken() };
    const first = await joinAgent(options, never);
    assert.equal(first.already, false);
    assert.equal((await stat(join(folder.path, "agent-key.pem"))).mode & 0o777, 0o600);
    assert.equal((await stat(join(folder.path, "identity.json"))).mode & 0o777, 0o600);
    const again = await joinAgent({ ...options, token: zone.gateway.joinToken() }, never);
    assert.deepEqual(again, { ...first, already: true });
    assert.equal(zone.gateway.nodes.size, 1);
  });

  test("that was cut after the server had taken it is repeated with the same token", async () => {
    await using zone = await openZone();
    await using folder = await temporaryFolder();
    const options = { dataFolder: folder.path, server: zone.gateway.url, token: zone.gateway.joinToken() };
    const first = await joinAgent(options, never);
    await rm(join(folder.path, "identity.json"));
    assert.deepEqual(await joinAgent(options, never), first);
    await using other = await temporaryFolder();
    await assert.rejects(
      joinAgent({ ...options, dataFolder: other.path }, never),
      isError("join-refused", /token was used/),
    );
  });

  test("is done anew where the server no longer knows the node", async () => {
    await using zone = await openZone();
    await using folder = await temporaryFolder();
    const first = await joinAgent(
      { dataFolder: folder.path, server: zone.gateway.url, token: zone.gateway.joinToken() },
      never,
    );
    zone.gateway.nodes.clear();
    const second = await joinAgent(
      { dataFolder: folder.path, server: zone.gateway.url, token: zone.gateway.joinToken() },
      never,
    );
    assert.equal(second.already, false);
    assert.notEqual(second.nodeId, first.nodeId);
  });

  test("refuses a host that belongs to another control plane, and changes nothing", async () => {
    await using zone = await openZone();
    await using other = await openZone();
    await using folder = await temporaryFolder();
    await joinAgent({ dataFolder: folder.path, server: zone.gateway.url, token: zone.gateway.joinToken() }, never);
    const before = await readFile(join(folder.path, "identity.json"), "utf8");
    await assert.rejects(
      joinAgent({ dataFolder: folder.path, server: other.gateway.url, token: other.gateway.joinToken() }, never),
      isError("host-enrolled-elsewhere", new RegExp(zone.gateway.url)),
    );
    assert.equal(await readFile(join(folder.path, "identity.json"), "utf8"), before);
  });

  test("shows its token to no server but the one that the token names", async () => {
    await using zone = await openZone();
    await using impostor = await openZone();
    await using folder = await temporaryFolder();
    const token = zone.gateway.joinToken();
    await assert.rejects(
      joinAgent({ dataFolder: folder.path, server: impostor.gateway.url, token }, never),
      isError("join-refused", /authority that the token names/),
    );
    assert.equal(impostor.gateway.requests, 0);
  });

  test("says what is wrong with its input, and what to do", async () => {
    await using folder = await temporaryFolder();
    const attempt = (server: string, token: string) => joinAgent({ dataFolder: folder.path, server, token }, never);
    const token = `skj1.jtk_${"0".repeat(26)}.${"A".repeat(43)}.${"0".repeat(64)}`;
    await assert.rejects(
      attempt("https://127.0.0.1:1", "skj1.nonsense"),
      isError("invalid-request", /not a join token/),
    );
    await assert.rejects(attempt("http://127.0.0.1:1", token), isError("invalid-request", /not a server's address/));
    await assert.rejects(attempt("https://127.0.0.1:1", token), isError("host-unreachable", /cannot be reached/));
  });
});

describe("the agent's command line", () => {
  const call = async (
    argv: readonly string[],
    input = "",
  ): Promise<{ code: number; output: string; errors: string }> => {
    const [output, errors] = [new PassThrough(), new PassThrough()];
    const code = await agentCommand(argv, { input: Readable.from([input]), output, errors }, never);
    output.end();
    errors.end();
    return { code, output: await text(output), errors: await text(errors) };
  };

  test("joins by a configuration file and a token on standard input, as provisioning does", async () => {
    await using zone = await openZone();
    await using folder = await temporaryFolder();
    const config = join(folder.path, "config.json");
    const dataFolder = join(folder.path, "data");
    await writeFile(
      config,
      JSON.stringify({ zoneId: "z", nodeName: "n", serverUrl: zone.gateway.url, dataAddress: "127.0.0.1", dataFolder }),
    );
    const first = await call(["join", "--config", config, "--token-stdin"], `${zone.gateway.joinToken()}\n`);
    assert.equal(first.code, 0, first.errors);
    assert.match(first.output, /is now node/);
    const second = await call(["join", "--config", config, "--token-stdin"], `${zone.gateway.joinToken()}\n`);
    assert.match(second.output, /already/);
  });

  test("keeps what it was joined with for later runs", async () => {
    await using zone = await openZone();
    await using folder = await temporaryFolder();
    const flags = ["--data-dir", folder.path, "--driver", "simulated", "--data-port", "7555", "--vcpus", "3"];
    const { code, errors } = await call([
      "join",
      "--server",
      zone.gateway.url,
      "--token",
      zone.gateway.joinToken(),
      ...flags,
    ]);
    assert.equal(code, 0, errors);
    const kept: unknown = JSON.parse(await readFile(join(folder.path, "agent.json"), "utf8"));
    assert.deepEqual(kept, {
      serverUrl: zone.gateway.url,
      driver: "simulated",
      dataPort: 7555,
      capacityOverride: { vcpus: 3 },
      dataFolder: folder.path,
    });
  });

  test("answers bad input with the cause and the remedy", async () => {
    assert.equal((await call([])).code, 2);
    assert.equal((await call(["--help"])).code, 0);
    assert.match((await call(["dance"])).errors, /there is no "agent dance"[^]*--help/);
    assert.match((await call(["run", "--driver", "xen"])).errors, /libvirt, simulated/);
    assert.match((await call(["run", "--data-port", "many"])).errors, /whole number/);
    assert.match((await call(["join", "--server", "https://x"])).errors, /needs --server and a token/);
    assert.match((await call(["run", "--config", "/nowhere.json"])).errors, /\/nowhere.json cannot be read/);
    await using folder = await temporaryFolder();
    const lonely = await call(["run", "--data-dir", folder.path]);
    assert.equal(lonely.code, 1);
    assert.match(lonely.errors, /has not joined[^]*agent join/);
  });
});
