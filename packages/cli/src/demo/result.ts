/** One workload of the demo as it was seen. */
export interface DemoInstance {
  readonly name: string;
  readonly provider: string;
  readonly country: string;
  readonly driver: string;
  readonly accelerator: string;
  readonly httpOk: boolean;
  /** From the guest's start to its first HTTP answer. */
  readonly bootMs: number;
}

export interface DemoMigration {
  readonly from: string;
  readonly to: string;
  /** From the order to stop to the first passed health check at the target. */
  readonly downtimeMs: number;
  readonly bytes: number;
  readonly digestEqual: boolean;
  /** The guest's random mark is the same and its counter went on from where it was. */
  readonly dataKept: boolean;
  readonly addressKept: boolean;
}

/** What `skerry demo --json` ends with. */
export interface DemoResult {
  readonly ok: boolean;
  /** `simulated` where this machine could not run real hosts. */
  readonly simulated: boolean;
  readonly totalMs: number;
  readonly providers: number;
  readonly sites: number;
  readonly nodes: number;
  readonly provisioningMs: number;
  readonly instances: readonly DemoInstance[];
  readonly migration: DemoMigration;
  readonly versions: Readonly<Record<string, string>>;
}
