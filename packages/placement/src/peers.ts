import type { Candidate } from "./candidate.ts";

/** Finds the nodes that affinities name. */
export interface Peers {
  named(name: string): Candidate | undefined;
}
