import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { SkerryError } from "@skerry/model";
import { prepareAgentArtifacts, provisioningSteps, type AgentArtifacts } from "@skerry/providers";
import { provisioningStepNames, type HostProvisioner } from "../operations/host-provisioner.ts";

export interface SshProvisionerOptions {
  /** Writes the agent as one file; undefined where this server was started without one, which refuses provisioning. */
  readonly bundleAgent: ((outFile: string) => Promise<unknown>) | undefined;
  /** Directory for compressed artifacts. */
  readonly cacheDir: string;
  /** What a new node's agent dials. */
  readonly serverUrl: string;
  /** Names this control plane on hosts, so that another one's are not taken over. */
  readonly zoneId: string;
}

/** Provisions hosts over SSH; what is copied to them is compressed once, at the first need, for all. */
export function makeSshProvisioner(options: SshProvisionerOptions): HostProvisioner {
  let artifacts: Promise<AgentArtifacts> | undefined;
  const prepare = (): Promise<AgentArtifacts> => {
    artifacts ??= prepareOnce(options).catch((error: unknown) => {
      // The next host tries again: the disk may have been full.
      artifacts = undefined;
      throw error;
    });
    return artifacts;
  };
  return {
    steps: ({ address, port, user, privateKey, hostKeyFingerprint, ...host }) => {
      const target = {
        address,
        port,
        user,
        privateKey,
        ...(hostKeyFingerprint === undefined ? {} : { hostKeyFingerprint }),
      };
      let steps: ReturnType<typeof provisioningSteps> | undefined;
      // The steps share one connection and what they learnt; they are made at the first one that runs.
      const resolve = async (): Promise<ReturnType<typeof provisioningSteps>> =>
        (steps ??= provisioningSteps(target, {
          ...host,
          serverUrl: options.serverUrl,
          zoneId: options.zoneId,
          agentArtifacts: await prepare(),
        }));
      return provisioningStepNames.map((name) => ({
        name,
        run: async (report, signal) => {
          const step = (await resolve()).find((candidate) => candidate.name === name);
          if (step === undefined) throw new SkerryError("internal", `Provisioning has no step ${name}.`);
          await step.run(report, signal);
        },
      }));
    },
  };
}

async function prepareOnce({ bundleAgent, cacheDir }: SshProvisionerOptions): Promise<AgentArtifacts> {
  if (bundleAgent === undefined) {
    throw new SkerryError("unavailable", "This control plane has no agent to install on hosts.", {
      remedy: "Start it with `skerry server`, which brings the agent along.",
    });
  }
  await mkdir(cacheDir, { recursive: true });
  const bundlePath = join(cacheDir, "agent.mjs");
  await bundleAgent(bundlePath);
  return prepareAgentArtifacts({ cacheDir, bundlePath }, () => undefined, AbortSignal.timeout(300_000));
}
