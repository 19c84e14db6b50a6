import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { runCommand } from "./command.ts";
import { TestbedError, type Prerequisite, type Progress } from "./testbed.ts";

/** Debian packages that the testbed and its images need, with a file that proves each of them. */
const requiredPackages: Readonly<Record<string, string>> = {
  "apt-cacher-ng": "/usr/sbin/apt-cacher-ng",
  cpio: "/usr/bin/cpio",
  dosfstools: "/sbin/mkfs.fat",
  e2fsprogs: "/sbin/mkfs.ext4",
  // For the seeds of the image tests; hosts need none, their agents write the image themselves.
  genisoimage: "/usr/bin/genisoimage",
  iproute2: "/sbin/ip",
  mmdebstrap: "/usr/bin/mmdebstrap",
  mtools: "/usr/bin/mcopy",
  "openssh-client": "/usr/bin/ssh-keygen",
  python3: "/usr/bin/python3",
  "qemu-system-x86": "/usr/bin/qemu-system-x86_64",
  "qemu-utils": "/usr/bin/qemu-img",
  syslinux: "/usr/bin/syslinux",
  "systemd-container": "/usr/bin/systemd-nspawn",
};

/** What this machine lacks to run a testbed; empty when it can. */
export async function missingPrerequisites(): Promise<readonly Prerequisite[]> {
  const missing: Prerequisite[] = [];
  if (process.platform !== "linux" || !isDebian(await readFile("/etc/os-release", "utf8").catch(() => ""))) {
    missing.push({
      name: "debian",
      cause: "this machine is not Debian 12 or later",
      remedy: "Run the testbed on Debian 12; everything that needs no real hosts works elsewhere with simulated sites.",
    });
  }
  if (process.getuid?.() !== 0) {
    missing.push({
      name: "root",
      cause: "this user is not root",
      remedy: "Run it as root: it makes network namespaces and mounts.",
    });
  }
  if (process.arch !== "x64") {
    missing.push({
      name: "architecture",
      cause: `this machine is ${process.arch}, not x64`,
      remedy: "Run the testbed on an amd64 machine.",
    });
  }
  const packages = missingPackages();
  if (packages.length > 0) {
    missing.push({
      name: "packages",
      cause: `these Debian packages are missing: ${packages.join(", ")}`,
      remedy: `Install them: apt-get install --no-install-recommends ${packages.join(" ")}`,
    });
  }
  return missing;
}

/** Installs the Debian packages that are missing; throws a TestbedError where it can't (not root, not Debian). */
export async function installPrerequisites(progress: Progress, signal?: AbortSignal): Promise<void> {
  const blocking = (await missingPrerequisites()).filter((one) => one.name !== "packages");
  const [first] = blocking;
  if (first !== undefined) throw new TestbedError(first.cause, first.remedy);
  const packages = missingPackages();
  if (packages.length === 0) return;
  const step = "install packages";
  const startedAt = performance.now();
  progress({ step, detail: packages.join(" ") });
  // The testbed runs the proxy itself, on its own address; Debian's package would start another one on every address.
  // Where there is no systemd nothing starts it either.
  if (packages.includes("apt-cacher-ng"))
    await runCommand(["systemctl", "mask", "--quiet", "apt-cacher-ng.service"], { allowFailure: true, signal });
  const onLine = (line: string): void => {
    if (/^(Unpacking|Setting up) /.test(line)) progress({ step, detail: line.replace(/ \.\.\.$/, "") });
  };
  const install = ["apt-get", "install", "--yes", "--no-install-recommends", ...packages];
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const attempt = await runCommand(install, { env, onLine, allowFailure: true, signal });
  if (attempt.exitCode !== 0) {
    // Package lists that are missing or older than the mirror are the usual cause; what else it is, the second try says.
    progress({ step, detail: "apt-get update" });
    await runCommand(["apt-get", "update"], { env, signal });
    await runCommand(install, { env, onLine, signal });
  }
  const left = missingPackages();
  if (left.length > 0)
    throw new TestbedError(
      `apt installed ${left.join(", ")} without the expected files`,
      "Look at apt's output with apt-get install by hand.",
    );
  progress({ step, elapsedMs: Math.round(performance.now() - startedAt) });
}

/** Whether an os-release text (os-release(5)) is of Debian 12 or later. */
export function isDebian(osRelease: string): boolean {
  const field = (name: string): string | undefined => new RegExp(`^${name}="?([^"\n]*)"?$`, "m").exec(osRelease)?.[1];
  return field("ID") === "debian" && Number(field("VERSION_ID") ?? "99") >= 12;
}

function missingPackages(): readonly string[] {
  return Object.entries(requiredPackages)
    .filter(([, proof]) => !existsSync(proof))
    .map(([name]) => name);
}
