import type { Duplex, Readable } from "node:stream";

/** What a guest is made of; every path and name in it was made by the agent. */
export interface GuestDefinition {
  /** The instance's id: the guest's only name towards the hypervisor. */
  readonly id: string;
  readonly epoch: number;
  readonly generation: number;
  readonly vcpus: number;
  readonly memoryMiB: number;
  readonly disks: readonly { readonly path: string; readonly format: "qcow2" | "raw"; readonly readOnly: boolean }[];
  readonly nics: readonly { readonly bridge: string; readonly mac: string; readonly mtu: number }[];
  /** PCI addresses of what it has of the host for itself. */
  readonly devices?: readonly string[];
}

/** What the hypervisor has; `epoch` and `generation` are those it was last defined with. */
export interface Guest {
  readonly id: string;
  readonly state: "running" | "stopping" | "stopped" | "failed";
  readonly epoch: number;
  readonly generation: number;
  /** Milliseconds since 1970 at which its process started, where it runs. */
  readonly startedAtMs?: number;
  /** Processor time it has used, seconds. */
  readonly cpuSeconds?: number;
  readonly error?: string;
}

export interface ComputeProbe {
  readonly accelerator: "kvm" | "tcg" | "simulated";
  /** Why not kvm, in a sentence, where it is not. */
  readonly reason?: string;
  readonly versions: Readonly<Record<string, string>>;
}

/**
 * Runs guests. Every call may be repeated; a guest that is not there counts as stopped and undefined. All drivers pass
 * `computeDriverContract`. Errors are SkerryError `node-driver-failed` with the hypervisor's words.
 */
export interface ComputeDriver {
  readonly name: "libvirt" | "simulated";
  probe(signal: AbortSignal): Promise<ComputeProbe>;
  /** Every guest of ours, whoever started it; never others' guests. */
  list(signal: AbortSignal): Promise<readonly Guest[]>;
  /** Makes or replaces the definition of a guest that does not run. */
  define(guest: GuestDefinition, signal: AbortSignal): Promise<void>;
  start(id: string, signal: AbortSignal): Promise<void>;
  /** Asks the guest to shut down and returns; `list` shows when it did. */
  shutdown(id: string, signal: AbortSignal): Promise<void>;
  /** Ends the guest's process now. On return it holds no disk open. */
  kill(id: string, signal: AbortSignal): Promise<void>;
  /** Forgets a guest that does not run; never touches disks. */
  undefine(id: string, signal: AbortSignal): Promise<void>;
  /** The serial line, both ways; several may be open. Ends when the guest does. */
  console(id: string, signal: AbortSignal): Promise<Duplex>;
  /** What the serial line has printed, newest last, from at most `maxBytes` before its end. */
  consoleLog(
    id: string,
    options: { readonly follow: boolean; readonly maxBytes: number },
    signal: AbortSignal,
  ): Promise<Readable>;
  /** Connects to a TCP port of the guest at `address`. */
  dial(id: string, address: string, port: number, signal: AbortSignal): Promise<Duplex>;
  /** Tells when `list` may have changed; polling covers what it misses. */
  onChange(listener: () => void): () => void;
}
