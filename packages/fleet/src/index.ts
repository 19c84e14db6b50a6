export { startFleet, type Fleet, type FleetCounts } from "./fleet.ts";
export { openIdentityFile } from "./identity-file.ts";
export { makeInstances, makeProject } from "./instances.ts";
export { characters, planFleet, type Character, type FleetOptions, type FleetPlan, type NodePlan } from "./plan.ts";
export { SimulatedNode } from "./simulated-node.ts";
