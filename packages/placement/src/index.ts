export type { Candidate, Cell, Spare } from "./candidate.ts";
export {
  affinityScopes,
  scoreReferences,
  type AffinityScope,
  type AffinityTerm,
  type PlacementRequest,
  type Weights,
} from "./request.ts";
export { FleetJournal } from "./fleet/journal.ts";
export { NodeFleet, type FleetOptions, type Reservation } from "./fleet/fleet.ts";
export {
  explainDecision,
  explainSteps,
  type Alternative,
  type Change,
  type Choice,
  type Explanation,
} from "./explanation/explanation.ts";
export type { FleetChange, SiteFacts } from "./simulation/fleet-change.ts";
export { giveBack, simulateSteps, type Simulated, type Simulation, type Subject } from "./simulation/simulation.ts";
export { placeGang, type GangDecision, type GangMember, type GangTerm } from "./gang.ts";
export { Placer } from "./placer.ts";
export { byName, hiding, type Naming } from "./naming.ts";
export { decide, decideSteps, place, explain, obstacles, type Decision, type Placed } from "./place.ts";
export { refusalError, refusalReasons, type Refusal, type RefusalReason, type Refused } from "./refusal.ts";
export { shortfalls } from "./shortfall.ts";
export { finish, type Steps } from "./steps.ts";
export type { Score } from "./score.ts";
export { distanceKm, latencyModel, modelledRoundTripMs, type Coordinates, type RoundTrip } from "./latency.ts";
export { findPlace, placeOf, places, type Place } from "./places.ts";
export { rebalance, type Rebalanced, type RebalanceWish, type Relocation } from "./rebalance/rebalance.ts";
export { objectiveOf, worstFirst, type RebalanceObjective, type Resident } from "./rebalance/objective.ts";
