import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { promisify } from "node:util";
import { makeSqlitePlace } from "../sqlite/place.ts";
import { readTrace } from "./trace.ts";

const run = promisify(execFile);

describe("durability as the kernel sees it", () => {
  before(async () => {
    try {
      await access("/usr/bin/strace");
    } catch {
      await run("apt-get", ["-o", "DPkg::Lock::Timeout=300", "install", "--yes", "--no-install-recommends", "strace"]);
    }
  });

  // A killed process loses nothing that the kernel has, so only the order of system calls shows a missing fsync.
  test("every acknowledgement comes after an fsync of the log that came after the write of its revision", async (t) => {
    const place = await makeSqlitePlace();
    t.after(() => place.dispose());
    const trace = `${place.path}.trace`;
    const load = [join(import.meta.dirname, "../sqlite/load-child.ts"), place.path, "0", "8", "200"];
    // Strings as long as a page of the log, so that the trace shows which rows a write carried.
    const options = ["-f", "-y", "-s", "4096", "-e", "trace=write,pwrite64,fsync,fdatasync", "-o", trace];
    await run("/usr/bin/strace", [...options, process.execPath, ...load], { timeout: 60_000 });

    const log = `${place.path}-wal>`;
    /** Ids that were written to the log, and those that were in it at its last fsync. */
    const written = new Set<string>();
    const synced = new Set<string>();
    let acknowledged = 0;
    let syncs = 0;
    for (const { name, args, result } of readTrace(await readFile(trace, "utf8"))) {
      if (name === "pwrite64" && args.includes(log)) {
        for (const [id] of args.matchAll(/ins_[0-9a-z]{26}/g)) written.add(id);
      } else if ((name === "fsync" || name === "fdatasync") && args.includes(log)) {
        assert.equal(result, "0");
        syncs++;
        for (const id of written) synced.add(id);
      } else if (name === "write" && args.startsWith("1<")) {
        for (const [, id = ""] of args.matchAll(/\+(ins_[0-9a-z]{26})/g)) {
          acknowledged++;
          assert.ok(
            synced.has(id),
            `${id} was acknowledged ${written.has(id) ? "before its fsync" : "before it was written"}`,
          );
        }
      }
    }
    t.diagnostic(`${acknowledged} objects acknowledged, ${syncs} fsyncs`);
    assert.ok(acknowledged >= 200 && syncs > 0);
  });
});
