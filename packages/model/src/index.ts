export * from "./schema.ts";
export * from "./metadata.ts";
export * from "./schema-version.ts";
export * from "./kind.ts";
export * from "./kinds.ts";
export * from "./problem.ts";
export * from "./quota.ts";
export * from "./placement-decision.ts";
export * from "./placement-explanation.ts";
export * from "./placement-simulation.ts";
export { CostEffect, MonthlyCost, pricedItems } from "./cost-effect.ts";
export { MoveForecast } from "./move-forecast.ts";
export { RebalanceProposal, RebalanceProposals, rebalanceObjectives } from "./rebalance.ts";
export { planLimits } from "./plan-limits.ts";
export * from "./id.ts";
export { sealedMark, withoutSecrets } from "./shown.ts";
export { timestamp } from "./timestamp.ts";
export * from "./validation.ts";
export { fieldName } from "./field-error.ts";
export { MeteredSite, Month } from "./kinds/meter.ts";
export * from "./sign-in.ts";
export * from "./usage-report.ts";
export * from "./kinds/device.ts";
export { Capacity, NodeFacts, accelerators, computeDrivers } from "./kinds/node.ts";
export { PriceList, SshAccess, providerDrivers } from "./kinds/provider.ts";
export {
  HealthCheck,
  InstanceAssignment,
  InstanceLease,
  LatencyLimit,
  OnDisconnect,
  PlacementConstraints,
  instanceStates,
  replaceAfterSeconds,
  type InstanceState,
} from "./kinds/instance.ts";
export { OperationStep, operationStates, stepStates, type OperationState } from "./kinds/operation.ts";
export { VolumeAssignment, VolumeCopy, copyPurposes, volumeStates } from "./kinds/volume.ts";
export { sessionOrigins } from "./kinds/identity-provider.ts";
export { builtInRoles, subjectKinds } from "./kinds/access.ts";
