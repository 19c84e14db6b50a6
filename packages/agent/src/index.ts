export { agentCommand, type AgentCommandIo } from "./command.ts";
export { joinAgent, type JoinOptions, type JoinResult } from "./join/join-agent.ts";
export { runAgent } from "./run-agent.ts";
export { makeJsonLog, type Log } from "./log.ts";
export type { AgentOptions } from "./options.ts";
export { buildAgentBundle } from "./bundle.ts";
export { overlappingRuns, readSimulatedRuns, type SimulatedRun } from "./drivers/compute/simulated-runs.ts";
