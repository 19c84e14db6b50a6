export type { HostTarget } from "./host-target.ts";
export { provisioningSteps, type ProvisioningDeps, type ProvisioningStep, type StepReport } from "./provisioning.ts";
export { hostCapacity, type FreeSpace, type HostEnrolment, type HostFacts, type HostState } from "./host-facts.ts";
export {
  prepareAgentArtifacts,
  type AgentArtifacts,
  type AgentRelease,
  type ArtifactFile,
  type ArtifactOptions,
  type HostArchitecture,
  type NodeRuntime,
} from "./agent-artifacts.ts";
