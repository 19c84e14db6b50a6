export type { Candidate, Cell, Spare } from "./candidate.ts";
export { scoreReferences, type AffinityTerm, type PlacementRequest, type Weights } from "./request.ts";
export { NodeFleet, type FleetOptions, type Reservation } from "./fleet/fleet.ts";
export {
  explainDecision,
  type Alternative,
  type Change,
  type Choice,
  type Explanation,
} from "./explanation/explanation.ts";
export type { ScorePart, ScoreParts } from "./explanation/score-parts.ts";
export { placeGang, type GangDecision, type GangMember, type GangTerm } from "./gang.ts";
export { Placer } from "./placer.ts";
export { decide, place, explain, obstacles, type Decision, type Placed } from "./place.ts";
export { refusalError, refusalReasons, type Refusal, type RefusalReason, type Refused } from "./refusal.ts";
export { shortfalls } from "./shortfall.ts";
export type { Score } from "./score.ts";
export { distanceKm, latencyModel, modelledRoundTripMs, type Coordinates, type RoundTrip } from "./latency.ts";
export { findPlace, places, type Place } from "./places.ts";
