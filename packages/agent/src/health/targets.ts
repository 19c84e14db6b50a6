import { isRunning } from "../reconcile/situation.ts";
import type { Situation } from "../reconcile/situation.ts";
import type { HealthTarget } from "./health-monitor.ts";

/** The running guests that have a health check and an address. */
export function healthTargets({ wanted, seen }: Situation): HealthTarget[] {
  return wanted.instances.flatMap(({ id, presence, healthCheck, nics }) => {
    const guest = seen.guests?.get(id);
    const address = nics[0]?.address.split("/")[0];
    if (presence === "absent" || healthCheck === undefined || address === undefined) return [];
    if (guest?.startedAtMs === undefined || !isRunning(guest)) return [];
    return [{ instanceId: id, address, check: healthCheck, startedAtMs: guest.startedAtMs }];
  });
}
