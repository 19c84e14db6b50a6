import { execFile } from "node:child_process";
import { existsSync, globSync, statSync } from "node:fs";
import { platform } from "node:os";
import { promisify } from "node:util";

const dayMs = 24 * 3_600_000;

/** Why this machine can't run tests on real guests, or undefined where it can. */
export function realObstacle(): string | undefined {
  if (platform() !== "linux" || !existsSync("/etc/debian_version")) return "needs Debian";
  if (process.getuid?.() !== 0) return "needs root";
  return undefined;
}

/**
 * Installs what hosts and guests on this machine need, by the testbed's own installer. What a single file needs
 * beyond that it installs itself; so that it can, package lists that are missing or a day old are fetched first.
 */
export async function prepareRealMachine(write: (line: string) => void, signal: AbortSignal): Promise<void> {
  const listTimes = globSync("/var/lib/apt/lists/*_Packages*").map((file) => statSync(file).mtimeMs);
  if (Date.now() - Math.max(0, ...listTimes) > dayMs) {
    write("     real     apt-get update");
    await promisify(execFile)("apt-get", ["-q", "-o", "DPkg::Lock::Timeout=300", "update"], { signal });
  }
  const { installPrerequisites } = await import("@skerry/testbed");
  await installPrerequisites(({ step, detail }) => {
    if (detail !== undefined && !/^(Unpacking|Setting up) /.test(detail)) write(`     real     ${step}: ${detail}`);
  }, signal);
}
