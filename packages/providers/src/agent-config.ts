import type { ProvisioningDeps } from "./provisioning.ts";
import type { HostTarget } from "./host-target.ts";

/** The text of /etc/skerry/agent.json; equal wishes give equal bytes, so that nothing restarts for nothing. */
export function agentConfig(target: HostTarget, deps: ProvisioningDeps): string {
  const { capacityOverride: capacity } = deps;
  const config = {
    zoneId: deps.zoneId,
    nodeName: deps.nodeName,
    serverUrl: deps.serverUrl,
    dataAddress: target.address,
    ...(deps.driver === undefined ? {} : { driver: deps.driver }),
    ...(capacity === undefined
      ? {}
      : { capacityOverride: { vcpus: capacity.vcpus, memoryMiB: capacity.memoryMiB, diskMiB: capacity.diskMiB } }),
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}
