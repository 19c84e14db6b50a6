/** What to build; every field is checked by `planTestbed` before anything is touched. */
export interface TestbedOptions {
  /** Directory that holds everything a running testbed owns; removed by `takeDown`. */
  readonly stateDir: string;
  /** Directory of trees, images and downloaded packages; survives `takeDown`. */
  readonly cacheDir: string;
  /** 1 to 20. */
  readonly providers: number;
  /** 1 to 20. */
  readonly nodesPerProvider: number;
  /** One-way delay of each provider's link to the WAN, so that two providers are 4 x this apart in round-trip time. */
  readonly wanDelayMs: number;
}

export const defaultTestbedOptions: TestbedOptions = {
  stateDir: "/var/lib/skerry/testbed",
  cacheDir: "/var/cache/skerry",
  providers: 3,
  nodesPerProvider: 1,
  wanDelayMs: 10,
};

/** What a host's file system starts with: `bare` has ssh and sudo only, `hypervisor` has libvirt, QEMU and network tools too. */
export const hostPackages = ["hypervisor", "bare"] as const;
export type HostPackages = (typeof hostPackages)[number];

/** One bare-metal look-alike, reachable over SSH. */
export interface TestbedHost {
  readonly name: string;
  /** Index of its provider, from 1. */
  readonly provider: number;
  readonly address: string;
  readonly sshPort: 22;
  /** "SHA256:..." of its ed25519 host key, as `ssh-keygen -l` prints it; known without asking the network. */
  readonly hostKeyFingerprint: string;
  readonly packages: HostPackages;
  /** The host's / as seen from this machine: for fault injection in tests, not for provisioning. */
  readonly rootPath: string;
  /** Process id, on this machine, of the host's init; it changes when the host reboots. */
  readonly leaderPid: number;
}

export interface TestbedProvider {
  /** From 1. */
  readonly index: number;
  /** Network namespace that holds its bridge and gateway. */
  readonly namespace: string;
  readonly cidr: string;
}

export interface Testbed {
  /** Address on this machine that every host reaches through the WAN. */
  readonly controlPlaneAddress: string;
  /** Caching proxy for Debian packages that every host is configured to use. */
  readonly aptProxyUrl: string;
  /** User with password-less sudo on every host. */
  readonly sshUser: string;
  readonly sshPrivateKeyPath: string;
  readonly hosts: readonly TestbedHost[];
  readonly providers: readonly TestbedProvider[];
}

/** A second user on every host with the same key and no sudo, to see refusals. */
export const visitorUser = "visitor";

/** One step of long work. A step's last event has `elapsedMs`; `done` and `total` count whatever `detail` names. */
export interface ProgressEvent {
  readonly step: string;
  readonly detail?: string;
  readonly done?: number;
  readonly total?: number;
  readonly elapsedMs?: number;
}
export type Progress = (event: ProgressEvent) => void;

/** Something that this machine lacks, and what to do about it. */
export interface Prerequisite {
  readonly name: string;
  readonly cause: string;
  readonly remedy: string;
}

/** An expected refusal or failure of the testbed, with what to do about it. */
export class TestbedError extends Error {
  readonly remedy: string;
  constructor(message: string, remedy: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "TestbedError";
    this.remedy = remedy;
  }
}
