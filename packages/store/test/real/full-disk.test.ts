import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

test("a full disk is answered with storage-full, loses nothing acknowledged, and once there is room the store goes on", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "skerry-full-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  // A mount namespace of its own, so that the file system goes with the process, whatever ends it.
  const args = ["--mount", process.execPath, join(import.meta.dirname, "full-child.ts"), folder];
  const { stdout } = await promisify(execFile)("unshare", args, { timeout: 60_000 });
  const seen = JSON.parse(stdout) as Record<string, unknown> & { acknowledged: number };
  assert.ok(seen.acknowledged > 0, stdout);
  assert.deepEqual(seen, {
    codes: ["storage-full"],
    acknowledged: seen.acknowledged,
    listedWhenFull: seen.acknowledged,
    revision: seen.acknowledged + 1,
    listedInTheEnd: seen.acknowledged + 1,
  });
});
