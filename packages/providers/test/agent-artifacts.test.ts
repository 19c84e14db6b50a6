import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { prepareAgentArtifacts, type AgentArtifacts, type ArtifactOptions } from "../src/agent-artifacts.ts";

const signal = AbortSignal.timeout(60_000);

describe("agent artifacts", () => {
  let dir: string;
  let options: ArtifactOptions;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), "skerry-artifacts-"));
    options = {
      cacheDir: join(dir, "cache"),
      bundlePath: join(dir, "agent.mjs"),
      runtimes: [{ path: "/bin/ls", version: "v0" }],
    };
    await writeFile(options.bundlePath, "x".repeat(10_001));
  });
  after(async () => {
    await rm(dir, { recursive: true });
  });

  const prepare = (progress: () => void = () => undefined): Promise<AgentArtifacts> =>
    prepareAgentArtifacts(options, progress, signal);

  test("unpack on a host to exactly what their digests say", async () => {
    const [release] = (await prepare()).releases;
    for (const file of release?.files ?? []) {
      const sent = await readFile(file.compressedPath);
      assert.deepEqual(
        [sent.length, createHash("sha256").update(sent).digest("hex")],
        [file.compressedBytes, file.compressedSha256],
      );
      const unpacked = execFileSync("dpkg-deb", ["--fsys-tarfile", file.compressedPath], { maxBuffer: 2 ** 24 });
      assert.deepEqual(
        [unpacked.length, createHash("sha256").update(unpacked).digest("hex")],
        [file.sizeBytes, file.sha256],
      );
    }
    assert.deepEqual(
      release?.files.map((file) => file.name),
      ["node", "agent.mjs"],
    );
  });

  test("hold a program that still runs", async () => {
    const [release] = (await prepare()).releases;
    const program = execFileSync("dpkg-deb", ["--fsys-tarfile", release?.files[0]?.compressedPath ?? ""], {
      maxBuffer: 2 ** 24,
    });
    await writeFile(join(dir, "ls"), program, { mode: 0o755 });
    assert.match(execFileSync(join(dir, "ls"), ["--version"], { encoding: "utf8" }), /coreutils/);
  });

  test("are made once, and anew when a source or the cache changes", async () => {
    let reads = 0;
    const count = (): void => void reads++;
    const first = await prepare();
    assert.deepEqual(await prepare(count), first);
    assert.equal(reads, 0);
    await writeFile(options.bundlePath, "y".repeat(10_001));
    const second = await prepare(count);
    assert.notEqual(second.releases[0]?.digest, first.releases[0]?.digest);
    assert.ok(reads > 0);
    await rm(second.releases[0]?.files[0]?.compressedPath ?? "");
    assert.deepEqual(await prepare(), second);
  });

  test("of what is not a Linux program are refused", async () => {
    const wrong = { ...options, runtimes: [{ path: options.bundlePath, version: "v0" }] };
    await assert.rejects(
      prepareAgentArtifacts(wrong, () => undefined, signal),
      { code: "invalid-request" },
    );
  });

  test("that were aborted leave nothing half-made", async () => {
    const abort = new AbortController();
    const fresh = { ...options, cacheDir: join(dir, "aborted"), runtimes: [{ path: process.execPath, version: "v0" }] };
    await assert.rejects(
      prepareAgentArtifacts(
        fresh,
        (name) => void (name.endsWith("node") && abort.abort(new Error("enough"))),
        abort.signal,
      ),
    );
    const left = execFileSync("ls", [fresh.cacheDir], { encoding: "utf8" });
    assert.doesNotMatch(left, /partial|^node/m);
  });
});
