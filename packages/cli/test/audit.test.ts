import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdtemp, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";
import { restoreBackupFolder, startServer, writeBackupFolder, type RunningServer } from "@skerry/server";
import type { Client } from "@skerry/sdk";
import { createNodeClient } from "@skerry/sdk/node";
import { reportFailure } from "../src/output/failure.ts";
import type { Terminal } from "../src/output/terminal.ts";
import { buildProgram } from "../src/program.ts";

const program = fileURLToPath(new URL("../src/main.ts", import.meta.url));

/* The commands as their user types them, against a server in this process. */
describe("skerry audit", { timeout: 180_000 }, () => {
  let folder: string;
  let server: RunningServer;
  let client: Client;
  let environment: NodeJS.ProcessEnv;

  /** As `main.ts` runs them, without a process for each. */
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
  const done = async (...words: readonly string[]): Promise<string> => {
    const { code, out, err } = await skerry(...words);
    assert.equal(code, 0, `${words.join(" ")}: ${err}`);
    return out;
  };
  const start = (dataDir: string): Promise<RunningServer> =>
    startServer(
      {
        dataDir,
        listen: [{ host: "127.0.0.1", port: 0 }],
        advertise: [],
        version: "0.0.0-test",
        writeLog: () => undefined,
      },
      new AbortController().signal,
    );
  const at = (name: string): string => join(folder, name);

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "skerry-audit-"));
    server = await start(at("server"));
    environment = {
      NO_COLOR: "1",
      SKERRY_SERVER: server.url,
      SKERRY_TOKEN_FILE: server.adminTokenFile,
      SKERRY_AUTHORITY: server.caFile,
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

  test("list shows who changed what and why, newest last, from the making of the first token on", async () => {
    await done("network", "create", "lan", "--cidr", "10.1.0.0/24", "-p", "web", "--reason", "année neuve");
    await done("api-token", "create", "robot", "--role", "viewer");
    const lines = (await done("audit", "list")).trimEnd().split("\n");
    assert.match(lines[0] ?? "", /^SEQ {2}TIME +ACTOR +FROM +CHANGE +REVISION +CAUSE +REASON$/);
    assert.match(
      lines[1] ?? "",
      /^ {2}1 {2}\S+Z {2}system .* created api-token admin +\d+ +no administrator was left +-$/,
    );
    assert.match(lines[4] ?? "", / admin +127\.0\.0\.1 +created network web\/lan .*année neuve$/);
    assert.match(lines[5] ?? "", /^ {2}5 .*created api-token robot/);
    assert.equal(new Set(lines.map((line) => line.search(/created|CHANGE/))).size, 1);
    const json = JSON.parse(await done("audit", "list", "-o", "json", "--limit", "2")) as {
      seq: number;
      hash: string;
    }[];
    assert.deepEqual(
      json.map(({ seq }) => seq),
      [4, 5],
    );
    const ofProject = JSON.parse(
      await done("audit", "list", "-p", "web", "--kind", "Network", "-o", "json"),
    ) as object[];
    assert.equal(ofProject.length, 1);
  });

  test("export writes what verify proves without a server, goes on where it ended, and has no secret in it", async () => {
    const file = at("log.jsonl");
    const [, head = ""] = /head (\S+)\n$/.exec(await done("audit", "export", file)) ?? [];
    assert.match(head, /^5:[0-9a-f]{64}$/);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    await client.delete("ApiToken", { name: "robot" });
    // As where the writing was interrupted: half a line more, which is dropped.
    const whole = await readFile(file, "utf8");
    await writeFile(file, `${whole}{"hash":"00`);
    assert.match(await done("audit", "export", file), /^1 records, head 6:/);
    const text = await readFile(file, "utf8");
    assert.ok(text.startsWith(whole) && text.trimEnd().split("\n").length === 7);
    assert.ok(!text.includes("secretHash"));
    await done("audit", "export", at("later.jsonl"), "--after", "4");
    environment = { ...environment, SKERRY_SERVER: "https://127.0.0.1:1", SKERRY_TOKEN_FILE: at("none") };
    try {
      assert.match(
        await done("audit", "verify", file),
        /^whole: records 1 to 6 of zone zon_\S+, head 6:[0-9a-f]{64}\n$/,
      );
      assert.match(await done("audit", "verify", file, "--head", head), /^whole/);
      assert.match(await done("audit", "verify", at("later.jsonl")), /^whole: records 5 to 6 /);
    } finally {
      environment = { ...environment, SKERRY_SERVER: server.url, SKERRY_TOKEN_FILE: server.adminTokenFile };
    }
    assert.equal((await skerry("audit", "export", file, "--after", "2")).code, 5);
  });

  test("verify names the line of a changed byte, and sees a cut-off tail by a later head alone; exit code 1", async () => {
    const file = at("log.jsonl");
    const harmed = at("harmed.jsonl");
    const bytes = await readFile(file);
    const newlines = [...bytes.keys()].filter((index) => bytes[index] === 0x0a);
    const middle = Math.floor(((newlines[2] ?? 0) + (newlines[3] ?? 0)) / 2);
    await writeFile(harmed, bytes.with(middle, (bytes[middle] ?? 0) ^ 4));
    const changed = await skerry("audit", "verify", harmed);
    assert.deepEqual([changed.code, changed.out], [1, ""]);
    const argv = ["--disable-warning=ExperimentalWarning", program, "audit", "verify", harmed];
    const child = spawn(process.execPath, argv, { stdio: "ignore" });
    assert.deepEqual(await once(child, "exit"), [1, null]);
    assert.match(changed.err, /harmed\.jsonl, line 4: .*Records 1 to 2 before it are whole/);
    // Nor is such a file gone on with.
    const goesOn = await skerry("audit", "export", harmed);
    assert.equal(goesOn.code, 1);
    assert.match(goesOn.err, /line 4/);
    const [, head = ""] = /head (\S+)\n$/.exec(await done("audit", "verify", file)) ?? [];
    await copyFile(file, harmed);
    await truncate(harmed, (newlines[5] ?? 0) + 1);
    assert.match(await done("audit", "verify", harmed), /^whole: records 1 to 5 /);
    const cut = await skerry("audit", "verify", harmed, "--head", head);
    assert.equal(cut.code, 1);
    assert.match(cut.err, /ends at record 5, before 6/);
    const other = await skerry("audit", "verify", file, "--head", `6:${"0".repeat(64)}`);
    assert.equal(other.code, 1);
    assert.match(other.err, /another record 6/);
    assert.equal((await skerry("audit", "verify", file, "--head", "six")).code, 2);
    assert.equal((await skerry("audit", "verify", at("none"))).code, 3);
  });

  test("a zone restored from a backup goes on with the chain, and its export with the file of before", async () => {
    const file = at("kept.jsonl");
    await done("audit", "export", file);
    const sources = { state: await client.openBackup(), dataDir: at("server") };
    await writeBackupFolder(at("backup"), sources);
    await restoreBackupFolder(at("backup"), { dataDir: at("restored") });
    await using restored = await start(at("restored"));
    const before = environment;
    environment = { ...before, SKERRY_SERVER: restored.url };
    try {
      await done("organisation", "create", "later", "--reason", "after the fire");
      assert.match(await done("audit", "export", file), /^2 records, head 8:/);
      assert.match(await done("audit", "verify", file), /^whole: records 1 to 8 /);
      const fresh = await skerry("audit", "export", at("fresh.jsonl"));
      assert.match(fresh.err, /The log begins behind record 6/);
      assert.match(await done("audit", "verify", at("fresh.jsonl")), /^whole: records 7 to 8 /);
    } finally {
      environment = before;
    }
    // The old one, had it gone on, is another branch of it.
    await client.put("Organisation", { name: "other" }, { spec: {} });
    await client.put("Organisation", { name: "another" }, { spec: {} });
    const fork = await skerry("audit", "export", file);
    assert.equal(fork.code, 1);
    assert.match(fork.err, /does not go on where/);
  });
});
