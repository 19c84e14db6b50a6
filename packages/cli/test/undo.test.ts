import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { after, before, describe, test } from "node:test";
import { startServer, type RunningServer } from "@skerry/server";
import type { Client } from "@skerry/sdk";
import { createNodeClient } from "@skerry/sdk/node";
import { reportFailure } from "../src/output/failure.ts";
import type { Terminal } from "../src/output/terminal.ts";
import { buildProgram } from "../src/program.ts";

/* The command as its user types it, against a server in this process. */
describe("skerry undo", { timeout: 180_000 }, () => {
  let folder: string;
  let server: RunningServer;
  let client: Client;
  let environment: NodeJS.ProcessEnv;

  async function skerry(...words: readonly string[]) {
    const [out, err] = [new PassThrough().setEncoding("utf8"), new PassThrough().setEncoding("utf8")];
    const terminal = { out, err, live: false } as unknown as Terminal;
    let code = 0;
    const outside = { ...process.env };
    Object.assign(process.env, environment);
    try {
      const built = buildProgram({ terminal, signal: new AbortController().signal });
      await built.parseAsync(words, { from: "user" });
    } catch (error) {
      code = reportFailure(terminal, error, false);
    } finally {
      process.env = outside;
    }
    const text = (stream: PassThrough): string => String(stream.end().read() ?? "");
    return { code, out: text(out), err: text(err) };
  }
  const done = async (...words: readonly string[]): Promise<{ readonly out: string; readonly err: string }> => {
    const { code, out, err } = await skerry(...words);
    assert.equal(code, 0, `${words.join(" ")}: ${err}`);
    return { out, err };
  };
  const revisionIn = (text: string): string => /\(revision (\d+)\)/.exec(text)?.[1] ?? assert.fail(text);

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "skerry-undo-"));
    const listen = [{ host: "127.0.0.1", port: 0 }];
    server = await startServer(
      { dataDir: join(folder, "server"), listen, advertise: [], version: "0.0.0-test", writeLog: () => undefined },
      new AbortController().signal,
    );
    environment = {
      NO_COLOR: "1",
      SKERRY_SERVER: server.url,
      SKERRY_TOKEN_FILE: server.adminTokenFile,
      SKERRY_AUTHORITY: server.caFile,
      SKERRY_PROJECT: "web",
    };
    const token = (await readFile(server.adminTokenFile, "utf8")).trim();
    client = createNodeClient({ server: server.url, token, authority: await readFile(server.caFile, "utf8") });
    await client.put("Organisation", { name: "acme" }, { spec: {} });
    await client.put("Project", { name: "web" }, { spec: { organisation: "acme" } });
  });
  after(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });

  const labels = async (): Promise<Readonly<Record<string, string>>> =>
    (await client.get("Network", { project: "web", name: "lan" })).metadata.labels;

  test("takes a change back by the revision that its command told, shows it first, and does it again after all", async () => {
    await done("network", "create", "lan", "--cidr", "10.1.0.0/24");
    const revision = revisionIn((await done("network", "label", "lan", "tier=front")).err);
    const plan = await done("undo", revision, "--plan");
    assert.match(plan.out, /^network web\/lan would be restored: metadata\.labels\.tier$/m);
    assert.match(plan.out, /^~ Network web\/lan$/m);
    assert.deepEqual(await labels(), { tier: "front" });
    const { err } = await done("undo", revision, "--reason", "by mistake");
    assert.match(err, /^network web\/lan restored: metadata\.labels\.tier$/m);
    assert.deepEqual(await labels(), {});
    assert.match((await done("audit", "list", "--limit", "1")).out, new RegExp(`undoes ${revision}: by mistake`));
    const again = /skerry undo (\d+)/.exec(err)?.[1] ?? assert.fail(err);
    await done("undo", again);
    assert.deepEqual(await labels(), { tier: "front" });
    const json = JSON.parse(
      (await done("undo", String((await client.list("Network")).revision), "-o", "json", "--plan")).out,
    ) as {
      undone: { way: string }[];
      quota: unknown[];
    };
    assert.deepEqual(
      json.undone.map(({ way }) => way),
      ["restored"],
    );
  });

  test("takes an apply of files back with the one line that it ends with", async () => {
    const file = join(folder, "files.json");
    const network = (name: string, cidr: string) => ({
      kind: "Network",
      metadata: { name, project: "web" },
      spec: { cidr },
    });
    await writeFile(file, JSON.stringify(network("one", "10.2.0.0/24")));
    const other = join(folder, "other.json");
    await writeFile(other, JSON.stringify(network("two", "10.3.0.0/24")));
    const { err } = await done("apply", "-f", file, other);
    const words = /take it back: skerry (undo [\d ]+)$/m.exec(err)?.[1]?.split(" ") ?? assert.fail(err);
    assert.equal(words.length, 3);
    await done(...words);
    assert.deepEqual(
      (await client.list("Network")).items.map(({ metadata }) => metadata.name),
      ["lan"],
    );
    // Applied once more unchanged there is nothing to take back.
    await done("apply", "-f", file);
    assert.ok(!/take it back/.test((await done("apply", "-f", file)).err));
  });

  test("says why it can't, and what to do instead, with an exit code of its own kind", async () => {
    await done("api-token", "create", "robot", "--role", "viewer");
    const revision = revisionIn((await done("api-token", "delete", "robot")).err);
    const { code, err } = await skerry("undo", revision);
    assert.equal(code, 5);
    assert.match(err, /irreversible[\s\S]*its secret was shown once[\s\S]*skerry api-token create/);
    assert.equal((await skerry("undo", "999999")).code, 3);
    assert.match((await skerry("undo", "../x")).err, /names no change/);
    assert.match((await skerry("undo", revision, "1", "--plan")).err, /A plan is of one undo/);
  });

  test("leaves what others have changed since where it is told to, and does not delete without being told", async () => {
    const revision = revisionIn((await done("network", "label", "lan", "tier=back", "own=1")).err);
    await done("network", "label", "lan", "tier=other");
    assert.match((await skerry("undo", revision)).err, /changed once more since[\s\S]*--partial/);
    assert.match(
      (await done("undo", revision, "--partial")).err,
      /restored: metadata\.labels\.own\n {2}stays as it is now: metadata\.labels\.tier/,
    );
    assert.deepEqual(await labels(), { tier: "other" });
    const content = join(folder, "image.raw");
    await writeFile(content, Buffer.alloc(1024 * 1024));
    const made = await done(
      "image",
      "create",
      "disk",
      "--file",
      content,
      "--format",
      "raw",
      "--architecture",
      "x86_64",
    );
    const image = revisionIn(made.err);
    assert.match((await skerry("undo", image)).err, /This destroys image web\/disk: its content[\s\S]*--yes/);
    assert.ok(!/do it again/.test((await done("undo", image, "--yes")).err));
    assert.deepEqual((await client.list("Image")).items, []);
  });
});
