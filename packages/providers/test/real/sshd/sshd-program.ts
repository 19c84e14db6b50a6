import { execFile } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const cache = fileURLToPath(new URL("../../../../../.cache/openssh-server", import.meta.url));

export interface SshdProgram {
  readonly path: string;
  /** For LD_LIBRARY_PATH: libraries that this machine may lack. */
  readonly libraries: string;
}

/**
 * A real OpenSSH server from Debian's package, unpacked into the checkout's cache and not installed: the machine that
 * tests gets no daemon.
 */
export async function getSshd(): Promise<SshdProgram> {
  if (!existsSync(cache)) {
    const work = `${cache}.${process.pid}`;
    await mkdir(`${work}/archives/partial`, { recursive: true });
    const download = [
      "-q",
      "-y",
      "-o",
      "DPkg::Lock::Timeout=120",
      "-o",
      "APT::Sandbox::User=root",
      "-o",
      `Dir::Cache::archives=${work}/archives`,
    ];
    const fetch = ["install", "--reinstall", "--download-only", "--no-install-recommends", "openssh-server"];
    try {
      await run("apt-get", [...download, ...fetch]);
    } catch {
      // The package lists are missing or old.
      await run("apt-get", ["-q", "-o", "DPkg::Lock::Timeout=120", "update"]);
      await run("apt-get", [...download, ...fetch]);
    }
    for (const archive of globSync(`${work}/archives/*.deb`)) await run("dpkg-deb", ["-x", archive, work]);
    await rm(`${work}/archives`, { recursive: true });
    // Another test file may have been faster.
    await rename(work, cache).catch(() => rm(work, { recursive: true }));
  }
  const libraries = ["/lib", "/usr/lib"].flatMap((folder) => globSync(`${cache}${folder}/*-linux-gnu`));
  return { path: `${cache}/usr/sbin/sshd`, libraries: libraries.join(":") };
}
