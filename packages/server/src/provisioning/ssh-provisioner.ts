import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { SkerryError } from "@skerry/model";
import type { AgentArtifacts, provisioningSteps } from "@skerry/providers";
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
  /** Aborts when the server stops. */
  readonly stopping: AbortSignal;
}

/** Provisions hosts over SSH; what is copied to them is compressed once for all, ahead or at the first need. */
export interface SshProvisioner extends HostProvisioner {
  /**
   * Makes what is copied to hosts, where it is not there; some seconds of one core at the first time. A later call tries
   * again what failed.
   * @throws SkerryError with the remedy
   */
  readonly prepare: () => Promise<AgentArtifacts>;
}

/** Loaded when a host is provisioned: no start waits for what speaks SSH. */
const loadLibrary = (): Promise<typeof import("@skerry/providers")> => import("@skerry/providers");

export function makeSshProvisioner(options: SshProvisionerOptions): SshProvisioner {
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
    prepare,
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
        (steps ??= (await loadLibrary()).provisioningSteps(target, {
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

async function prepareOnce({ bundleAgent, cacheDir, stopping }: SshProvisionerOptions): Promise<AgentArtifacts> {
  if (bundleAgent === undefined) {
    throw new SkerryError("unavailable", "This control plane has no agent to install on hosts.", {
      remedy: "Start it with `skerry server`, which brings the agent along.",
    });
  }
  try {
    await mkdir(cacheDir, { recursive: true });
    const bundlePath = join(cacheDir, "agent.mjs");
    await bundleAgent(bundlePath);
    const signal = AbortSignal.any([stopping, AbortSignal.timeout(300_000)]);
    const { prepareAgentArtifacts } = await loadLibrary();
    return await prepareAgentArtifacts({ cacheDir, bundlePath }, () => undefined, signal);
  } catch (error) {
    throw error instanceof SkerryError ? error : notPrepared(error, cacheDir);
  }
}

function notPrepared(cause: unknown, cacheDir: string): SkerryError {
  const full = cause instanceof Error && "code" in cause && (cause.code === "ENOSPC" || cause.code === "EDQUOT");
  const why = cause instanceof Error ? cause.message : String(cause);
  return new SkerryError(
    full ? "storage-full" : "unavailable",
    `What is to be installed on hosts could not be made in ${cacheDir} on the control plane's machine: ${why}.`,
    {
      remedy: full
        ? `Free about 100 MiB there, or start the server with --artifacts-dir on another disk; then provision again.`
        : "Mend that on the control plane's machine, then provision again.",
      cause,
    },
  );
}
