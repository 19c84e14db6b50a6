export type { Candidate, PlacementRequest } from "./candidate.ts";
export { place, explain, obstacles, type Decision, type Placed } from "./place.ts";
export { refusalError, refusalReasons, type Refusal, type RefusalReason, type Refused } from "./refusal.ts";
export { shortfalls } from "./shortfall.ts";
export type { Score } from "./score.ts";
export { distanceKm, latencyModel, modelledRoundTripMs, type Coordinates, type ModelledLatency } from "./latency.ts";
export { findPlace, places, type Place } from "./places.ts";
