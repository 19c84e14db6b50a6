import type { Capacity } from "@skerry/model";
import type { AgentArtifacts } from "./agent-artifacts.ts";
import type { HostTarget } from "./host-target.ts";

/** What turns a host into a node of this zone. */
export interface ProvisioningDeps {
  /** Where the host's agent dials, https. */
  readonly serverUrl: string;
  readonly zoneId: string;
  readonly nodeName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly agentArtifacts: AgentArtifacts;
  readonly capacityOverride?: Capacity;
  readonly driver?: "libvirt" | "simulated";
  /** TCP port of the node's data plane; the agent's default where absent. */
  readonly dataPort?: number;
  /** Called at most once per run of the step `enrol`, and only where the host is not yet enrolled. */
  mintJoinToken(signal: AbortSignal): Promise<string>;
}

/** `done` and `total` are bytes in the step `agent`, packages' percent in the step `packages`. */
export type StepReport = (message: string, done?: number, total?: number) => void;

/** One step of provisioning: safe to repeat after a cut or a kill at any line of it. */
export interface ProvisioningStep {
  readonly name: string;
  run(report: StepReport, signal: AbortSignal): Promise<void>;
}

/** The steps connect, facts, packages, agent, enrol, in order; nothing on the host changes before `packages`. */
export function provisioningSteps(target: HostTarget, deps: ProvisioningDeps): readonly ProvisioningStep[] {
  throw new Error(`not built yet: ${target.address} ${deps.nodeName}`);
}
