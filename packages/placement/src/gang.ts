import type { NodeFleet, Reservation } from "./fleet/fleet.ts";
import type { Placer } from "./placer.ts";
import type { AffinityTerm, PlacementRequest } from "./request.ts";

/** One of those that are placed together. */
export interface GangMember extends Omit<PlacementRequest, "affinity"> {
  /** What others' terms name it by. */
  readonly groups?: readonly string[];
  readonly affinity?: readonly GangTerm[];
}

export interface GangTerm extends AffinityTerm {
  /** Members of this group that come before it in the gang are peers too. */
  readonly group?: string;
}

export type GangDecision =
  | { readonly outcome: "placed"; readonly nodes: readonly { readonly id: string; readonly name: string }[] }
  | {
      readonly outcome: "refused";
      /** The first member, from 0 on, that found no node beside those before it, of the attempt that came furthest. */
      readonly member: number;
      /** Whether no other way is left to try. */
      readonly isCertain: boolean;
    };

/** Nodes that are tried for one member or another before it is given up. */
const triesAllowed = 2000;

/**
 * Places all members or none: one after the other in their order, each on the node that is best beside those before it; where one
 * finds none, the one before it goes to its next best node, and so on. Nothing stays reserved.
 */
export function placeGang(placer: Placer, members: readonly GangMember[], tries = triesAllowed): GangDecision {
  const { fleet } = placer;
  const attempt: Attempt = { placer, members, nodes: [], triesLeft: tries, furthest: 0 };
  // A member that finds no node when it is alone with those that are there will find none beside others.
  for (const [member, asked] of members.entries())
    if (placer.best(alone(asked)).slot < 0) return { outcome: "refused", member, isCertain: true };
  const isPlaced = placeFrom(attempt, 0);
  if (!isPlaced) return { outcome: "refused", member: attempt.furthest, isCertain: attempt.triesLeft > 0 };
  return { outcome: "placed", nodes: attempt.nodes.map((name) => ({ name, id: idOf(fleet, name) })) };
}

interface Attempt {
  readonly placer: Placer;
  readonly members: readonly GangMember[];
  /** Names of those of the members before. */
  readonly nodes: string[];
  triesLeft: number;
  furthest: number;
}

function placeFrom(attempt: Attempt, member: number): boolean {
  const { placer, members, nodes } = attempt;
  const asked = members[member];
  if (asked === undefined) return true;
  attempt.furthest = Math.max(attempt.furthest, member);
  const request = besideOthers(members, member, nodes);
  const tried: string[] = [];
  while (attempt.triesLeft > 0) {
    const { slot } = placer.best({ ...request, excludeNodes: [...(request.excludeNodes ?? []), ...tried] });
    if (slot < 0) return false;
    attempt.triesLeft -= 1;
    const { name } = placer.fleet.at(slot);
    const reservation: Reservation = placer.fleet.reserve(slot, request);
    nodes.push(name);
    const isDone = placeFrom(attempt, member + 1);
    placer.fleet.release(reservation);
    if (isDone) return true;
    nodes.pop();
    tried.push(name);
  }
  return false;
}

/** What a member asks once those before it are placed: its terms towards them, and theirs towards it. */
function besideOthers(members: readonly GangMember[], member: number, nodes: readonly string[]): PlacementRequest {
  const { groups: own = [], affinity = [], ...request } = members[member] as GangMember;
  const terms: AffinityTerm[] = affinity.map(({ group, ...term }) => ({
    ...term,
    nodes: [...term.nodes, ...nodes.filter((_, earlier) => isIn(members[earlier], group))],
  }));
  for (const [earlier, name] of nodes.entries()) {
    for (const { group, relation, by, weight } of members[earlier]?.affinity ?? []) {
      if (relation === "apart" && weight === undefined && group !== undefined && own.includes(group))
        terms.push({ relation, by, nodes: [name] });
    }
  }
  return { ...request, affinity: terms };
}

function isIn(member: GangMember | undefined, group: string | undefined): boolean {
  return group !== undefined && member?.groups?.includes(group) === true;
}

/** Without terms that members before it may yet make hold. */
function alone({ groups: _groups, affinity = [], ...request }: GangMember): PlacementRequest {
  return {
    ...request,
    affinity: affinity.filter(({ relation, group }) => relation === "apart" || group === undefined),
  };
}

function idOf(fleet: NodeFleet, name: string): string {
  return fleet.named(name)?.id ?? "";
}
