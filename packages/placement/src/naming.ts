import type { Candidate } from "./candidate.ts";

/** What a node is called towards whoever asked. */
export type Naming = (node: Candidate) => string;

/** For whoever may know of all nodes. */
export const byName: Naming = ({ name }) => name;

/** Towards those who may not know of some nodes, these are no more than some at their site. */
export function hiding(isHidden: (node: Candidate) => boolean): Naming {
  return (node) => (isHidden(node) ? `a node at ${node.site}` : node.name);
}
