import type { HostArchitecture } from "./agent-artifacts.ts";

/** What the agent's drivers call on a host; everything else it needs is part of every Debian or Ubuntu server. */
const everywhere: readonly string[] = [
  "iproute2",
  "libvirt-clients",
  "libvirt-daemon-system",
  "nftables",
  "procps",
  "qemu-utils",
  // In user space, since not every kernel has the module; where it has one the agent prefers that.
  "wireguard-go",
  "wireguard-tools",
];

const byArchitecture: Readonly<Record<HostArchitecture, readonly string[]>> = {
  x86_64: ["qemu-system-x86"],
  aarch64: ["qemu-efi-aarch64", "qemu-system-arm"],
};

/** Debian packages that a node with a driver must have; named alike on every supported system. */
export function hostPackages(driver: "libvirt" | "simulated", architecture: HostArchitecture): readonly string[] {
  return driver === "simulated" ? [] : [...everywhere, ...byArchitecture[architecture]].toSorted();
}

/** Free space that installing all of them takes, with the package files meanwhile, MiB: apt says 202 MB and 48 MB on Debian 12, and its lists take 110 MB. */
export const packagesNeedMiB = { "/usr": 300, "/var": 250 } as const;
