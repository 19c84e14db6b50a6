import type { Capacity } from "@skerry/model";
import type { AgentArtifacts, AgentRelease } from "./agent-artifacts.ts";
import { agentConfig } from "./agent-config.ts";
import { installAgent } from "./agent-step.ts";
import { enrol } from "./enrol-step.ts";
import { hostCapacity, type HostFacts, type HostState } from "./host-facts.ts";
import { hostPackages, packagesNeedMiB } from "./host-packages.ts";
import { HostSession } from "./host-session.ts";
import { requireOurs, requireRootAccess, requireSpace, requireSupported } from "./host-support.ts";
import type { HostTarget } from "./host-target.ts";
import { readFacts, readState, requireShell } from "./inspection.ts";
import { installPackages } from "./package-step.ts";
import type { SshConnection } from "./ssh-connection.ts";

/** What turns a host into a node of this zone. */
export interface ProvisioningDeps {
  /** Where the host's agent dials, https. */
  readonly serverUrl: string;
  readonly zoneId: string;
  readonly nodeName: string;
  readonly agentArtifacts: AgentArtifacts;
  readonly capacityOverride?: Capacity;
  readonly driver?: "libvirt" | "simulated";
  /** The zone has no key of this node any more, so that it must join again whatever the host thinks; harmless where it has. */
  readonly rejoin?: boolean;
  /** Called at most once per run of the step `enrol`, and only where the host must join. */
  mintJoinToken(signal: AbortSignal): Promise<string>;
}

/** `done` and `total` are bytes in the step `agent`, percent in the step `packages`. */
export type StepReport = (message: string, done?: number, total?: number) => void;

/** One step of provisioning: safe to repeat after a cut or a kill at any line of it. */
export interface ProvisioningStep {
  readonly name: string;
  run(report: StepReport, signal: AbortSignal): Promise<void>;
}

/**
 * The steps connect, facts, packages, agent, enrol, in order; nothing on the host changes before `packages`, and whatever
 * speaks against the host is found before that. Each may be the first that is run, after a restart of this process.
 */
export function provisioningSteps(target: HostTarget, deps: ProvisioningDeps): readonly ProvisioningStep[] {
  const session = new HostSession(target, deps.nodeName);
  // Kept from step to step, and asked anew after a failure: somebody may have mended something.
  let judged: JudgedHost | undefined;
  const judge = async (connection: SshConnection, signal: AbortSignal): Promise<JudgedHost> =>
    (judged ??= await judgeHost(connection, deps, signal));
  const step = (
    name: string,
    work: (connection: SshConnection, report: StepReport, signal: AbortSignal) => Promise<void>,
  ): ProvisioningStep => ({
    name,
    run: async (report, signal) => {
      try {
        await session.use((connection) => work(connection, report, signal), signal);
      } catch (error) {
        judged = undefined;
        throw error;
      }
    },
  });
  return [
    step("connect", async (connection, report, signal) => {
      await requireShell(connection, signal);
      report(`connected to ${target.address} as ${target.user}`);
    }),
    step("facts", async (connection, report, signal) => {
      const { facts } = await judge(connection, signal);
      report(describeHost(facts));
    }),
    step("packages", async (connection, report, signal) => {
      const { packages, state } = await judge(connection, signal);
      await installPackages(connection, packages, state.installedPackages, report, signal);
    }),
    step("agent", async (connection, report, signal) => {
      const { release } = await judge(connection, signal);
      await installAgent(connection, release, agentConfig(target, deps), report, signal);
    }),
    step("enrol", async (connection, report, signal) => {
      await enrol(connection, deps, report, signal);
      session.close();
    }),
  ];
}

interface JudgedHost {
  readonly facts: HostFacts;
  readonly state: HostState;
  readonly release: AgentRelease;
  readonly packages: readonly string[];
}

/** Room for the agent's journal and logs, MiB. */
const agentStateMiB = 64;

/** Looks at the host and refuses what cannot become a node. */
async function judgeHost(connection: SshConnection, deps: ProvisioningDeps, signal: AbortSignal): Promise<JudgedHost> {
  const facts = await readFacts(connection, signal);
  const release = requireSupported(facts, deps.agentArtifacts.releases);
  requireRootAccess(connection.target, facts);
  const packages = hostPackages(deps.driver ?? "libvirt", release.architecture);
  const state = await readState(connection, packages, signal);
  requireOurs(facts.hostname, state.enrolment, deps);
  const lacksPackages = packages.some((name) => !state.installedPackages.has(name));
  requireSpace(facts, {
    "/opt": state.release === release.digest ? 0 : releaseMiB(release),
    "/usr": lacksPackages ? packagesNeedMiB["/usr"] : 0,
    "/var": agentStateMiB + (lacksPackages ? packagesNeedMiB["/var"] : 0),
  });
  return { facts, state, release, packages };
}

/** What arrives and what it unpacks to. */
function releaseMiB(release: AgentRelease): number {
  const bytes = release.files.reduce((sum, file) => sum + file.sizeBytes + file.compressedBytes, 0);
  return Math.ceil(bytes / 2 ** 20) + 8;
}

function describeHost(facts: HostFacts): string {
  const { vcpus, memoryMiB, diskMiB } = hostCapacity(facts);
  const virtualisation = facts.virtualisation.kvmDevice ? "KVM device present" : "no KVM device";
  return `${facts.systemName}, ${facts.architecture}, ${vcpus} cores, ${memoryMiB} MiB memory, ${diskMiB} MiB free, ${virtualisation}`;
}
