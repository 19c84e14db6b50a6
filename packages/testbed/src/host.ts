import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, chown, copyFile, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { runCommand } from "./command.ts";
import { groupProcesses, startInGroup } from "./control-group.ts";
import { mountOverlay, mountsWithin } from "./mounts.ts";
import { namespacePath } from "./network.ts";
import { bridgeName, controlPlaneAddress, sshUser, type HostPlan } from "./plan.ts";
import { visitorUser } from "./testbed.ts";
import { operatorUid, visitorUid } from "./tree-contents.ts";

const bootLoop = fileURLToPath(new URL("./boot-host.sh", import.meta.url));
const bootTimeoutMs = 180_000;

export interface HostPaths {
  /** Everything of this host: overlay layers, its keys, its console log. */
  readonly directory: string;
  readonly root: string;
  readonly hostKey: string;
  readonly console: string;
}

export function hostPaths(stateDir: string, name: string): HostPaths {
  const directory = `${stateDir}/hosts/${name}`;
  return {
    directory,
    root: `${directory}/root`,
    hostKey: `${directory}/host-key`,
    console: `${directory}/console.log`,
  };
}

export function hostGroup(name: string): string {
  return `host-${name}`;
}

/** Makes a host's file system from its tree: name, address, machine id, its own host key and who may log in. */
export async function prepareHost(
  plan: HostPlan,
  paths: HostPaths,
  lower: readonly string[],
  userKey: string,
  signal?: AbortSignal,
): Promise<void> {
  if (!(await mountsWithin(paths.root)).includes(paths.root)) {
    await mkdir(paths.directory, { recursive: true, mode: 0o700 });
    for (const name of ["root", "upper", "work"])
      await mkdir(`${paths.directory}/${name}`, { recursive: true, mode: 0o755 });
    await mountOverlay(
      { target: paths.root, lower, upper: `${paths.directory}/upper`, work: `${paths.directory}/work` },
      signal,
    );
  }
  const { root } = paths;
  // Written last, below: a host that has it is complete.
  if (existsSync(`${root}/etc/machine-id`)) return;
  await runCommand(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", plan.name, "-f", paths.hostKey], { signal });
  await copyFile(paths.hostKey, `${root}/etc/ssh/ssh_host_ed25519_key`);
  await chmod(`${root}/etc/ssh/ssh_host_ed25519_key`, 0o600);
  await copyFile(`${paths.hostKey}.pub`, `${root}/etc/ssh/ssh_host_ed25519_key.pub`);
  await writeFile(`${root}/etc/hostname`, `${plan.name}\n`);
  await writeFile(
    `${root}/etc/hosts`,
    `127.0.0.1 localhost\n${plan.address} ${plan.name}\n${controlPlaneAddress} control-plane\n`,
  );
  await writeFile(
    `${root}/etc/systemd/network/10-host0.network`,
    `[Match]\nName=host0\n[Network]\nAddress=${plan.address}/24\nGateway=${plan.gateway}\nLinkLocalAddressing=ipv6\nIPv6AcceptRA=no\n`,
  );
  for (const [user, uid] of [
    [sshUser, operatorUid],
    [visitorUser, visitorUid],
  ] as const) {
    const directory = `${root}/home/${user}/.ssh`;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeFile(`${directory}/authorized_keys`, `${userKey.trim()}\n`, { mode: 0o600 });
    for (const path of [directory, `${directory}/authorized_keys`]) await chown(path, uid, usersGid);
  }
  await writeFile(`${root}/etc/machine-id`, `${randomBytes(16).toString("hex")}\n`, { mode: 0o444 });
}

/** Debian's fixed id of the group `users`. */
const usersGid = 100;

/** Starts a prepared host unless it runs. */
export async function startHost(plan: HostPlan, paths: HostPaths): Promise<void> {
  const group = hostGroup(plan.name);
  if ((await groupProcesses(group)).length > 0) return;
  const devices = ["/dev/net/tun", "/dev/fuse"].filter((path) => existsSync(path)).map((path) => `--bind=${path}`);
  if (existsSync("/dev/kvm")) devices.push(`--bind=${await makeKvmNode(paths)}:/dev/kvm`);
  const argv = [
    "nsenter",
    `--net=${namespacePath(plan.namespace)}`,
    "/bin/sh",
    bootLoop,
    "systemd-nspawn",
    "--quiet",
    "--boot",
    "--register=no",
    "--keep-unit",
    `--machine=${plan.name}`,
    `--directory=${paths.root}`,
    `--network-bridge=${bridgeName}`,
    "--resolv-conf=off",
    "--timezone=off",
    "--link-journal=no",
    "--system-call-filter=add_key keyctl request_key bpf",
    ...devices,
  ];
  await startInGroup(group, argv, paths.console);
}

/**
 * A device node of the host's own, open to all in it: this machine's may belong to a group that has another number there.
 * The directory around it is root's alone.
 */
async function makeKvmNode(paths: HostPaths): Promise<string> {
  const node = `${paths.directory}/kvm`;
  if (!existsSync(node)) {
    // Linux packs a device number as major << 8 | minor, which holds for the small numbers of /dev/kvm.
    const { rdev } = await stat("/dev/kvm");
    await runCommand(["mknod", "-m", "0666", node, "c", String(rdev >> 8), String(rdev & 0xff)]);
  }
  return node;
}

/** Resolves when the host's ssh server greets; throws with the end of its console log when it died or took too long. */
export async function untilHostAnswers(plan: HostPlan, paths: HostPaths, signal?: AbortSignal): Promise<void> {
  const deadline = Date.now() + bootTimeoutMs;
  while (!(await greets(plan.address))) {
    const dead = (await groupProcesses(hostGroup(plan.name))).length === 0;
    if (dead || Date.now() > deadline) {
      const log = await readFile(paths.console, "utf8").catch(() => "");
      const cause = dead
        ? "ended while it booted"
        : `did not answer on ${plan.address}:22 in ${bootTimeoutMs / 1_000} s`;
      throw new Error(
        `host ${plan.name} ${cause}; the end of its console (${paths.console}): ${log.trim().slice(-600)}`,
      );
    }
    await delay(150, undefined, { signal });
  }
}

/** Process id, on this machine, of the host's init; undefined when it does not run. */
export async function findLeader(name: string): Promise<number | undefined> {
  for (const pid of await groupProcesses(hostGroup(name))) {
    const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
    if (isLeader(status)) return pid;
  }
  return undefined;
}

/** Whether a process, by its /proc/PID/status, is the first of a pid namespace directly below this one's. */
export function isLeader(status: string): boolean {
  const ids = /^NSpid:\s+(.+)$/m.exec(status)?.[1]?.split(/\s+/);
  return ids !== undefined && ids.length === 2 && ids[1] === "1";
}

/** "SHA256:..." of a public key in OpenSSH's one-line form, as `ssh-keygen -l` prints it. */
export function keyFingerprint(publicKey: string): string {
  const blob = publicKey.split(" ")[1] ?? "";
  return `SHA256:${createHash("sha256").update(Buffer.from(blob, "base64")).digest("base64").replace(/=+$/, "")}`;
}

async function greets(address: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = createConnection({ host: address, port: 22, timeout: 2_000 });
  socket.once("data", (data) => {
    resolve(data.toString("latin1").startsWith("SSH-2.0"));
    socket.destroy();
  });
  socket.on("timeout", () => socket.destroy());
  socket.on("error", () => undefined); // not up yet; `close` follows
  socket.on("close", () => resolve(false));
  return promise;
}
