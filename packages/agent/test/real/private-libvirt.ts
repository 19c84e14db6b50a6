import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { runProgram } from "../../src/drivers/run-program.ts";
import { eventually } from "../contract/deadline.ts";

/** What libvirt and QEMU take to run guests, as Debian packages. */
export const libvirtPackages = [
  "libvirt-daemon-system",
  "libvirt-clients",
  "qemu-system-x86",
  "qemu-utils",
  "iproute2",
];

const libvirtSocket = "/run/libvirt/libvirt-sock";

/** libvirt's daemon, alone in the test's namespaces; `restart` stops it as a package upgrade would, guests running on. */
export interface PrivateLibvirt extends AsyncDisposable {
  restart(): Promise<void>;
}

/** Starts libvirt as Debian does, but over empty folders in the place of the machine's own. Only in a mount namespace of the test's own. */
export async function startLibvirt(): Promise<PrivateLibvirt> {
  const never = new AbortController().signal;
  for (const folder of ["/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt"]) {
    await mkdir(folder, { recursive: true });
    await runProgram(["mount", "-t", "tmpfs", "-o", "mode=755", "private", folder], never);
  }
  // Elsewhere udev lets QEMU's user at it; where it is root's alone, libvirt would examine QEMU again before each of its steps.
  if (existsSync("/dev/kvm")) {
    await runProgram(["mknod", "-m", "666", "/run/kvm", "c", "10", "232"], never);
    await runProgram(["mount", "--bind", "/run/kvm", "/dev/kvm"], never);
  }
  // A container may not have control groups of its own; everything else is as the package has it.
  await writeFile("/etc/libvirt/qemu.conf", "cgroup_controllers = []\n");
  const log = await start("virtlogd", "/run/libvirt/virtlogd-sock");
  let daemon = await start("libvirtd", libvirtSocket);
  return {
    async restart() {
      await stop(daemon);
      daemon = await start("libvirtd", libvirtSocket);
    },
    async [Symbol.asyncDispose]() {
      await stop(daemon);
      await stop(log);
    },
  };
}

async function start(program: "libvirtd" | "virtlogd", socket: string): Promise<ChildProcess> {
  const child = spawn(program, [], { stdio: ["ignore", "ignore", "pipe"] });
  // It remarks on much that a container lacks; what it said matters only where it does not start.
  let words = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (words = (words + text).slice(-4000)));
  await eventually(`${program} listens`, () => existsSync(socket) || child.exitCode !== null, 30_000);
  if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}: ${words}`);
  return child;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}
