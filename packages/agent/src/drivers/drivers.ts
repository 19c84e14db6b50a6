import type { NodeDevice } from "@skerry/model";
import type { ComputeDriver } from "./compute.ts";
import type { LeaseGuard } from "../leases/lease-guard.ts";
import type { NetworkDriver } from "./network.ts";
import type { SeedBuilder } from "./seed.ts";
import type { VolumeDriver } from "./volume.ts";

/** What the agent drives its host with; disposing closes connections and touches no guest. */
export interface Drivers extends Disposable {
  readonly compute: ComputeDriver;
  readonly volume: VolumeDriver;
  readonly network: NetworkDriver;
  /** What the host may give to guests, now. */
  devices(signal: AbortSignal): Promise<readonly NodeDevice[]>;
  /** Ends guests whose lease is over. */
  readonly guard: LeaseGuard;
  /** Absent where guests read no seed. */
  readonly seed?: SeedBuilder;
}
