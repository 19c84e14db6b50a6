import { readFile } from "node:fs/promises";
import {
  bringUp,
  defaultTestbedOptions,
  installPrerequisites,
  takeDown,
  visitorUser,
  type TestbedOptions,
} from "@skerry/testbed";
import type { HostTarget } from "../../src/host-target.ts";

const options: TestbedOptions = {
  ...defaultTestbedOptions,
  stateDir: "/var/lib/skerry/providers-test",
  providers: 1,
  nodesPerProvider: 1,
  wanDelayMs: 5,
};

/** A host as a provider hands it over: Debian with ssh, sudo and apt, behind a link with delay. */
export interface BareHost extends AsyncDisposable {
  readonly target: HostTarget;
  /** The same host with a user that may not become root. */
  readonly visitor: HostTarget;
}

export async function startBareHost(): Promise<BareHost> {
  await installPrerequisites(() => undefined);
  const testbed = await bringUp(options, () => undefined);
  const [host] = testbed.hosts;
  if (host === undefined || host.packages !== "bare") throw new Error("the testbed has no bare host");
  const target = {
    address: host.address,
    port: host.sshPort,
    user: testbed.sshUser,
    privateKey: await readFile(testbed.sshPrivateKeyPath, "utf8"),
    hostKeyFingerprint: host.hostKeyFingerprint,
  };
  return {
    target,
    visitor: { ...target, user: visitorUser },
    [Symbol.asyncDispose]: () => takeDown(options, () => undefined),
  };
}
