import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { readAptSettings, readAptSources, sourceLines, suite } from "./apt.ts";
import { aptProxyUrl } from "./apt-proxy.ts";
import { runCommand } from "./command.ts";
import { inGroup } from "./control-group.ts";
import { textOf } from "./image-cache.ts";
import { mountOverlay, unmount } from "./mounts.ts";
import { sshUser } from "./plan.ts";
import {
  bareFiles,
  barePackages,
  dpkgOptions,
  hypervisorPackages,
  maskedUnits,
  operatorUid,
  visitorUid,
} from "./tree-contents.ts";
import { visitorUser, type HostPackages, type Progress } from "./testbed.ts";

/** Lower layers of a host's file system, uppermost first, as overlayfs wants them. */
export type TreeLayers = Readonly<Record<HostPackages, readonly string[]>>;

/** Group in which every process of a build runs. */
const buildGroup = "build";
const partialPrefix = ".partial-";

/**
 * Builds what is missing of both trees and returns their layers: the hypervisor's packages are a layer above the bare
 * tree, so that the common part is unpacked once. The apt proxy must be up. A tree appears by rename, whole or not at all.
 */
export async function ensureTrees(cacheDir: string, progress: Progress, signal?: AbortSignal): Promise<TreeLayers> {
  const trees = `${cacheDir}/trees`;
  await mkdir(trees, { recursive: true, mode: 0o755 });
  const code = await textOf(["./tree.ts", "./tree-contents.ts"].map((name) => new URL(name, import.meta.url)));
  const bare = `${trees}/bare-${fingerprint([suite, aptProxyUrl, ...code])}`;
  const hypervisor = `${trees}/hypervisor-${fingerprint([suite, aptProxyUrl, ...code])}`;
  if (!existsSync(bare)) {
    await timed("build bare tree", progress, (onLine) => buildBare(bare, onLine, signal));
  }
  if (!existsSync(hypervisor)) {
    await timed("build hypervisor tree", progress, (onLine) => buildHypervisor(hypervisor, bare, onLine, signal));
  }
  await removeUnused(trees, [bare, hypervisor]);
  return { bare: [bare], hypervisor: [hypervisor, bare] };
}

/** Removes trees of earlier versions, except those that a mount still stands on. */
async function removeUnused(trees: string, current: readonly string[]): Promise<void> {
  const mounts = await readFile("/proc/self/mountinfo", "utf8");
  for (const name of await readdir(trees)) {
    const path = `${trees}/${name}`;
    if (!current.includes(path) && !mounts.includes(path)) await rm(path, { recursive: true, force: true });
  }
}

/** Removes half-built trees; their processes and mounts must be gone. */
export async function removePartialTrees(cacheDir: string): Promise<void> {
  const names = await readdir(`${cacheDir}/trees`).catch(() => []);
  for (const name of names) {
    if (name.startsWith(partialPrefix)) await rm(`${cacheDir}/trees/${name}`, { recursive: true, force: true });
  }
}

async function buildBare(path: string, onLine: (line: string) => void, signal?: AbortSignal): Promise<void> {
  const partial = await freshPartial(path);
  const settings = await readAptSettings(signal);
  const argv = [
    "mmdebstrap",
    "--mode=root",
    "--variant=minbase",
    `--include=${barePackages.join(",")}`,
    ...dpkgOptions.map((option) => `--dpkgopt=${option}`),
    ...[...settings.options, `Acquire::http::Proxy "${aptProxyUrl}";`, 'APT::Install-Recommends "false";'].map(
      (option) => `--aptopt=${option}`,
    ),
    suite,
    partial,
    ...sourceLines(await readAptSources(signal), true),
  ];
  // What a killed mmdebstrap leaves in its temporary directory goes with the partial tree.
  const temporary = await freshPartial(`${path}.tmp`);
  await runCommand(await inGroup(buildGroup, argv), { env: { TMPDIR: temporary }, onLine, signal });
  await rm(temporary, { recursive: true });
  for (const [name, contents] of Object.entries(bareFiles(aptProxyUrl))) await put(`${partial}${name}`, contents);
  const inside = async (...command: readonly string[]): Promise<void> => {
    await runCommand(await inGroup(buildGroup, ["chroot", partial, ...command]), { signal });
  };
  for (const [user, uid] of [
    [sshUser, operatorUid],
    [visitorUser, visitorUid],
  ] as const) {
    await inside("useradd", "--create-home", "--uid", String(uid), "--gid", "users", "--shell", "/bin/bash", user);
  }
  await inside("systemctl", "enable", "--quiet", "ssh.service", "systemd-networkd.service");
  await inside("systemctl", "mask", "--quiet", ...maskedUnits);
  // Keys and ids are each host's own.
  for (const name of await readdir(`${partial}/etc/ssh`))
    if (name.startsWith("ssh_host_")) await rm(`${partial}/etc/ssh/${name}`);
  for (const name of ["/etc/machine-id", "/etc/hostname", "/etc/resolv.conf"])
    await rm(`${partial}${name}`, { force: true });
  await rename(partial, path);
}

async function buildHypervisor(
  path: string,
  bare: string,
  onLine: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const partial = await freshPartial(path);
  const root = `${partial}/root`;
  for (const name of ["root", "work", "upper"]) await mkdir(`${partial}/${name}`, { recursive: true, mode: 0o755 });
  await mountOverlay({ target: root, lower: [bare], upper: `${partial}/upper`, work: `${partial}/work` }, signal);
  // Package scripts must not start services in the build.
  await put(`${root}/usr/sbin/policy-rc.d`, "#!/bin/sh\nexit 101\n", 0o755);
  await put(`${root}/etc/machine-id`, "");
  const install = ["apt-get", "install", "--yes", "--no-install-recommends", ...hypervisorPackages];
  const argv = [
    "systemd-nspawn",
    "--quiet",
    "--register=no",
    "--keep-unit",
    "--machine=sk-build",
    `--directory=${root}`,
    "--resolv-conf=off",
    "--timezone=off",
    "--setenv=DEBIAN_FRONTEND=noninteractive",
    "--pipe",
    "--",
  ];
  await runCommand(await inGroup(buildGroup, [...argv, "apt-get", "update"]), { onLine, signal });
  await runCommand(await inGroup(buildGroup, [...argv, ...install]), { onLine, signal });
  for (const name of ["/usr/sbin/policy-rc.d", "/etc/machine-id"]) await rm(`${root}${name}`);
  // Both trees begin like a delivered machine: without package lists, which a provisioning fetches.
  await rm(`${root}/var/lib/apt/lists`, { recursive: true });
  await rm(`${root}/var/cache/apt`, { recursive: true });
  await mkdir(`${root}/var/lib/apt/lists/partial`, { recursive: true });
  await mkdir(`${root}/var/cache/apt/archives/partial`, { recursive: true });
  await unmount(root, signal);
  await rename(`${partial}/upper`, path);
  await rm(partial, { recursive: true, force: true });
}

async function freshPartial(path: string): Promise<string> {
  const at = path.lastIndexOf("/");
  const partial = `${path.slice(0, at)}/${partialPrefix}${path.slice(at + 1)}`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { mode: 0o755 });
  return partial;
}

async function put(path: string, contents: string, mode = contents.startsWith("#!") ? 0o755 : 0o644): Promise<void> {
  await mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o755 });
  await writeFile(path, contents);
  await chmod(path, mode);
}

function fingerprint(inputs: unknown): string {
  return createHash("sha256").update(JSON.stringify(inputs)).digest("hex").slice(0, 16);
}

async function timed(
  step: string,
  progress: Progress,
  work: (onLine: (line: string) => void) => Promise<void>,
): Promise<void> {
  const startedAt = performance.now();
  progress({ step });
  await work((line) => {
    const detail = /^(?:I: (.+)|(?:Unpacking|Setting up) (\S+).*)$/.exec(line);
    if (detail !== null) progress({ step, detail: detail[1] ?? detail[0] });
  });
  progress({ step, elapsedMs: Math.round(performance.now() - startedAt) });
}
