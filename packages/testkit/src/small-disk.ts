import { execFile } from "node:child_process";
import { chmod, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A file system of a test's own that can be full; needs root. */
export interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  /** Takes all room but so much. */
  fill(spareBytes?: number): Promise<void>;
  /** Gives back what was taken. */
  free(): Promise<void>;
}

export async function mountSmallDisk(sizeMiB: number): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), "skerry-disk-"));
  await run("mount", ["-t", "tmpfs", "-o", `size=${sizeMiB}m`, "tmpfs", path]);
  await chmod(path, 0o777);
  const ballast = join(path, "ballast");
  return {
    path,
    async fill(spareBytes = 0) {
      const file = await open(ballast, "a");
      try {
        const page = Buffer.alloc(4096);
        // What is there at most.
        for (let written = 0; written < sizeMiB * 2 ** 20; written += page.length) await file.write(page);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
        const { size } = await file.stat();
        await file.truncate(Math.max(0, size - spareBytes));
      } finally {
        await file.close();
      }
    },
    free: () => rm(ballast, { force: true }),
    async [Symbol.asyncDispose]() {
      await run("umount", ["--lazy", path]);
      await rm(path, { recursive: true, force: true });
    },
  };
}
