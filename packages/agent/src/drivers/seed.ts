import type { WantedInstance } from "@skerry/protocol";

/** A guest's interface as its seed must describe it. */
export interface SeedNic {
  readonly mac: string;
  /** IPv4 with prefix length. */
  readonly address: string;
  readonly gateway: string;
  readonly mtu: number;
}

/** Makes the small disk from which a guest learns its name, keys, addresses and user data. */
export interface SeedBuilder {
  /**
   * Writes the instance's seed whole, replacing an older one, and gives its path; format raw, to be attached read-only.
   * The path is made from the instance's id alone.
   */
  build(instance: WantedInstance, nics: readonly SeedNic[], signal: AbortSignal): Promise<string>;
  remove(instanceId: string, signal: AbortSignal): Promise<void>;
}
