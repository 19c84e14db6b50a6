import type { SimulatedRuns } from "../drivers/compute/simulated-runs.ts";
import { LeaseFolder } from "./lease-folder.ts";
import type { LeaseGuard } from "./lease-guard.ts";
import { uptimeSeconds } from "./uptime.ts";

/** For simulated guests, whose runs are records: a run's record says when it ends unless that is put off, whoever looks. */
export class SimulatedGuard extends LeaseFolder implements LeaseGuard {
  readonly #runs: SimulatedRuns;

  constructor(runs: SimulatedRuns, folder: string) {
    super(folder);
    this.#runs = runs;
  }

  missing(): undefined {
    return undefined;
  }

  override set(instanceId: string, endsAtSeconds: number): void {
    super.set(instanceId, endsAtSeconds);
    this.#runs.limit(instanceId, Date.now() + (Math.floor(endsAtSeconds) - uptimeSeconds()) * 1000);
  }

  override clear(instanceId: string): void {
    super.clear(instanceId);
    this.#runs.limit(instanceId, undefined);
  }
}
