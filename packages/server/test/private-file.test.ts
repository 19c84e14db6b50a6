import assert from "node:assert/strict";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ensurePrivateDirectory } from "../src/secrets/private-file.ts";

test(
  "a data directory is made level by level, and what can't be one is refused in words",
  { timeout: 20_000 },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "skerry-private-"));
    try {
      const deep = join(folder, "a/b/c");
      await ensurePrivateDirectory(deep);
      await ensurePrivateDirectory(deep);
      assert.equal((await stat(deep)).mode & 0o777, 0o700);
      const file = join(folder, "file");
      await writeFile(file, "");
      await assert.rejects(ensurePrivateDirectory(file), { code: "unavailable", message: /file is not a directory/ });
      await assert.rejects(ensurePrivateDirectory(join(file, "below")), { code: "unavailable" });
      // With `recursive` mkdir never ends here.
      await assert.rejects(ensurePrivateDirectory("/proc/none/below"), { code: "unavailable", message: /ENOENT/ });
    } finally {
      await rm(folder, { recursive: true });
    }
  },
);
