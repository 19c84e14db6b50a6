import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { freemem, totalmem } from "node:os";
import { statfs } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** One thing that this machine can or can't do, and why. */
export interface Finding {
  readonly what: string;
  readonly verdict: "yes" | "partly" | "no";
  readonly why: string;
  /** What to do about it, where something can be done. */
  readonly remedy?: string;
}

/** Looks at this machine; changes nothing. */
export async function examineMachine(signal: AbortSignal): Promise<readonly Finding[]> {
  return [
    platform(),
    user(),
    await packages(signal),
    kvm(),
    await wireguard(signal),
    await systemContainers(signal),
    memory(),
    await disk(),
  ];
}

function platform(): Finding {
  const release = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  const name = /^PRETTY_NAME="?([^"\n]*)/m.exec(release)?.[1] ?? process.platform;
  const debian = /^ID="?debian/m.test(release);
  return debian
    ? { what: "real hosts on this machine", verdict: "yes", why: `${name}, ${process.arch}` }
    : {
        what: "real hosts on this machine",
        verdict: "no",
        why: `${name}: the testbed builds its hosts from Debian packages`,
        remedy: "Simulated sites work here; use Debian 12 for real ones.",
      };
}

function user(): Finding {
  return process.getuid?.() === 0
    ? { what: "namespaces, mounts, packages", verdict: "yes", why: "runs as root" }
    : {
        what: "namespaces, mounts, packages",
        verdict: "no",
        why: "does not run as root",
        remedy: "Run the testbed and the demo with sudo.",
      };
}

async function packages(signal: AbortSignal): Promise<Finding> {
  const { missingPrerequisites } = await import("@skerry/testbed");
  signal.throwIfAborted();
  const missing = (await missingPrerequisites()).filter((entry) => entry.name === "packages");
  const [first] = missing;
  return first === undefined
    ? { what: "testbed's packages", verdict: "yes", why: "all installed" }
    : {
        what: "testbed's packages",
        verdict: "partly",
        why: first.cause,
        remedy: "`skerry testbed up` and `skerry demo` install them as root.",
      };
}

function kvm(): Finding {
  if (!existsSync("/dev/kvm")) {
    return {
      what: "hardware virtualisation",
      verdict: "no",
      why: "there is no /dev/kvm: guests run by software emulation, slower",
      remedy: "Enable VT-x or AMD-V in the firmware, or nested virtualisation on the host.",
    };
  }
  return {
    what: "hardware virtualisation",
    verdict: "partly",
    why: "/dev/kvm is there; each agent proves it by booting something, and else emulates",
  };
}

async function wireguard(signal: AbortSignal): Promise<Finding> {
  const what = "WireGuard in the kernel";
  const name = `skdoc${process.pid % 10_000}`;
  try {
    await run("ip", ["link", "add", name, "type", "wireguard"], { signal });
    await run("ip", ["link", "del", name], { signal });
    return { what, verdict: "yes", why: "an interface could be made" };
  } catch {
    // Any failure (no module, no right, no ip) means the same: the user-space implementation is taken.
    return { what, verdict: "partly", why: "not available here: wireguard-go is used instead (about 200 Mb/s)" };
  }
}

async function systemContainers(signal: AbortSignal): Promise<Finding> {
  const what = "control groups for hosts";
  try {
    const { stdout } = await run("stat", ["-fc", "%T", "/sys/fs/cgroup"], { signal });
    return { what, verdict: "yes", why: stdout.trim() === "cgroup2fs" ? "version 2" : "version 1 or hybrid" };
  } catch {
    return {
      what,
      verdict: "no",
      why: "/sys/fs/cgroup is not mounted",
      remedy: "Mount it, or run on a machine with systemd.",
    };
  }
}

function memory(): Finding {
  const gibibytes = (bytes: number) => (bytes / 1024 ** 3).toFixed(1);
  const enough = freemem() > 4 * 1024 ** 3;
  return {
    what: "memory for the demo",
    verdict: enough ? "yes" : "partly",
    why: `${gibibytes(freemem())} GiB free of ${gibibytes(totalmem())}`,
    ...(enough ? {} : { remedy: "About 4 GiB are needed for three hosts with their guests." }),
  };
}

async function disk(): Promise<Finding> {
  const stat = await statfs("/var");
  const free = (stat.bavail * stat.bsize) / 1024 ** 3;
  return {
    what: "disk for trees and images",
    verdict: free > 6 ? "yes" : "no",
    why: `${free.toFixed(1)} GiB free in /var`,
    ...(free > 6 ? {} : { remedy: "Free at least 6 GiB." }),
  };
}
