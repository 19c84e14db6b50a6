import type { Capacity } from "@skerry/model";

/** A bare host that is to become a node. */
export interface HostToProvision {
  readonly nodeName: string;
  readonly address: string;
  readonly port: number;
  readonly user: string;
  /** In clear text; it lives in memory only. */
  readonly privateKey: string;
  readonly hostKeyFingerprint?: string;
  readonly capacityOverride?: Capacity;
  readonly driver?: "libvirt" | "simulated";
  /** The zone has no key of this node, so that its agent must join again even where the host was a node of that name before. */
  readonly rejoin?: boolean;
  /** A new single-use token, each time. */
  mintJoinToken(signal: AbortSignal): Promise<string>;
}

export interface HostProvisioningStep {
  readonly name: string;
  /** Safe to repeat after a cut or a kill at any line of it. */
  run(report: (message: string, done?: number, total?: number) => void, signal: AbortSignal): Promise<void>;
}

/** Turns bare hosts into nodes. The steps of one host may share a connection; each may be the first that is run. */
export interface HostProvisioner {
  steps(host: HostToProvision): readonly HostProvisioningStep[];
}

/** The steps that every provisioner has, in order. */
export const provisioningStepNames = ["connect", "facts", "packages", "agent", "enrol"] as const;
