import { LeaseFolder, readOrEmpty } from "./lease-folder.ts";
import type { LeaseGuard } from "./lease-guard.ts";
import { uptimeSeconds } from "./uptime.ts";

/** Shared with the guard's script, `providers/src/remote/lease-guard.sh`. */
const leasesFolder = "/run/skerry/leases";
/** Where it writes the uptime of its last round; it makes one each second. */
const signPath = "/run/skerry/lease-guard";
/** A guard that is silent for longer is none. */
const silentSeconds = 5;

/** The guard that provisioning installs on hosts: a unit of its own, beside the agent's. */
export class HostGuard extends LeaseFolder implements LeaseGuard {
  constructor() {
    super(leasesFolder);
  }

  missing(): string | undefined {
    const sign = Number(readOrEmpty(signPath).trim() || Number.NaN);
    if (uptimeSeconds() - sign <= silentSeconds) return undefined;
    return "No guard watches leases on this host, so it runs nothing that may be replaced; see that skerry-lease-guard.service runs.";
  }
}
