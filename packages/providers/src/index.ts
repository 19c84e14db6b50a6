export type { HostTarget } from "./host-target.ts";
export { provisioningSteps, type ProvisioningDeps, type ProvisioningStep, type StepReport } from "./provisioning.ts";
export {
  prepareAgentArtifacts,
  type AgentArtifacts,
  type AgentRelease,
  type ArtifactOptions,
  type HostArchitecture,
} from "./agent-artifacts.ts";
