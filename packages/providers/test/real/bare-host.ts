import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Type } from "typebox";
import { parserOf } from "@skerry/model";
import type { HostTarget } from "../../src/host-target.ts";

const run = promisify(execFile);
const skerry = fileURLToPath(new URL("../../../../skerry", import.meta.url));
const folders = ["--state-dir", "/var/lib/skerry/providers-test"];

/** What is needed of what `skerry testbed up --json` prints. */
const parseTestbed = parserOf(
  Type.Object({
    sshUser: Type.String(),
    sshPrivateKeyPath: Type.String(),
    hosts: Type.Array(
      Type.Object({
        address: Type.String(),
        sshPort: Type.Integer(),
        hostKeyFingerprint: Type.String(),
        packages: Type.String(),
      }),
    ),
  }),
  "testbed",
);

/** A host as a provider hands it over: Debian with ssh, sudo and apt, behind a link with delay. */
export interface BareHost extends AsyncDisposable {
  readonly target: HostTarget;
  /** The same host with a user that may not become root. */
  readonly visitor: HostTarget;
}

export async function startBareHost(): Promise<BareHost> {
  // By the command line, since providers know nothing of the testbed. Its last host is the bare one.
  const size = ["--providers", "1", "--nodes-per-provider", "1", "--wan-delay", "5"];
  const { stdout } = await run(skerry, ["testbed", "up", "--json", ...size, ...folders]);
  const testbed = parseTestbed(JSON.parse(stdout));
  const host = testbed.hosts.find(({ packages }) => packages === "bare");
  if (host === undefined) throw new Error("the testbed has no bare host");
  const target = {
    address: host.address,
    port: host.sshPort,
    user: testbed.sshUser,
    privateKey: await readFile(testbed.sshPrivateKeyPath, "utf8"),
    hostKeyFingerprint: host.hostKeyFingerprint,
  };
  return {
    target,
    visitor: { ...target, user: "visitor" },
    [Symbol.asyncDispose]: async () => {
      await run(skerry, ["testbed", "down", ...folders]);
    },
  };
}
