import type { Candidate } from "../candidate.ts";
import type { NodeFleet } from "../fleet/fleet.ts";
import { Placer } from "../placer.ts";
import {
  isEmpty,
  leastGain,
  objectiveOf,
  rateOf,
  squareOfUse,
  weightsFor,
  worstFirst,
  type RebalanceObjective,
  type Resident,
} from "./objective.ts";

export interface Relocation {
  readonly resident: Resident;
  /** Id of the node to which it would go. */
  readonly to: string;
  /** By how much the objective becomes less; of `consolidation` the last move that empties a node has all of it. */
  readonly gain: number;
}

export interface Rebalanced {
  /** In the order in which they make room for each other. */
  readonly relocations: readonly Relocation[];
  readonly before: number;
  readonly after: number;
}

export interface RebalanceWish {
  readonly objective: RebalanceObjective;
  readonly maxMoves: number;
}

/** How many of the fullest nodes' instances are looked at for each move. */
const balancedAtOnce = 64;

/**
 * Looks for moves that make the objective less: one after the other the one that gains most, each to the node that the engine finds
 * for it, until none gains anything or `maxMoves` are found. Every step gains, so that the end is never worse than the beginning; and
 * everything that an instance asks of its node holds at the new one, with all that was moved before. Each moves once at most. What
 * asks for devices, pinning, huge pages or its peers stays: what these would have elsewhere changes with each move.
 * About 10 us for each instance and move that is looked at. @param fleet the caller's own: it is changed
 */
export function rebalance(
  fleet: NodeFleet,
  all: readonly Resident[],
  { objective, maxMoves }: RebalanceWish,
): Rebalanced {
  const before = objectiveOf(fleet, all, objective);
  const search = new Search(fleet, all.filter(isMovable), objective);
  if (objective === "consolidation") search.empty(maxMoves);
  else if (objective === "balance") search.even(maxMoves);
  else search.cheapen(objective, maxMoves);
  const { relocations } = search;
  return { relocations, before, after: before - relocations.reduce((sum, { gain }) => sum + gain, 0) };
}

function isMovable({ request }: Resident): boolean {
  const { affinity = [], devices = {}, hugepagesMiB = 0, pinnedCells = 0 } = request;
  return affinity.length === 0 && Object.keys(devices).length === 0 && hugepagesMiB === 0 && pinnedCells === 0;
}

class Search {
  readonly relocations: Relocation[] = [];
  readonly #fleet: NodeFleet;
  readonly #placer: Placer;
  readonly #objective: RebalanceObjective;
  /** Those that have not moved, by the node where they are. */
  readonly #here = new Map<string, Resident[]>();

  constructor(fleet: NodeFleet, residents: readonly Resident[], objective: RebalanceObjective) {
    this.#fleet = fleet;
    this.#placer = new Placer(fleet);
    this.#objective = objective;
    for (const resident of residents) {
      if (fleet.slotOf(resident.nodeId) === undefined) continue;
      const others = this.#here.get(resident.nodeId);
      if (others === undefined) this.#here.set(resident.nodeId, [resident]);
      else others.push(resident);
    }
  }

  /** From the fullest nodes to the emptiest. */
  even(maxMoves: number): void {
    while (this.relocations.length < maxMoves) {
      let best: Relocation | undefined;
      for (const resident of this.#fullest()) {
        const target = this.#target(resident);
        if (target === undefined) continue;
        const gain = this.#evening(resident, target);
        if (gain > (best?.gain ?? leastGain.balance)) best = { resident, to: target.id, gain };
      }
      if (best === undefined) return;
      this.#move(best);
    }
  }

  #fullest(): readonly Resident[] {
    const nodes = [...this.#here.keys()].map((id) => this.#node(id));
    const some: Resident[] = [];
    for (const { id } of worstFirst(nodes, "balance")) {
      some.push(...(this.#here.get(id) ?? []));
      if (some.length >= balancedAtOnce) break;
    }
    return some.slice(0, balancedAtOnce);
  }

  #evening({ nodeId, request }: Resident, target: Candidate): number {
    const source = this.#node(nodeId);
    const was = squareOfUse(source) + squareOfUse(target);
    const is = squareOfUse(withLoad(source, request, -1)) + squareOfUse(withLoad(target, request, 1));
    return was - is;
  }

  /** To where a vCPU costs least: what gains most first, looked at anew once others have taken the room that it was to have. */
  cheapen(objective: "price" | "carbon", maxMoves: number): void {
    const offers = [...this.#here.values()]
      .flat()
      .flatMap((resident) => this.#cheaper(resident, objective) ?? [])
      .sort((one, other) => one.gain - other.gain);
    while (this.relocations.length < maxMoves) {
      const best = offers.pop();
      if (best === undefined) return;
      const now = this.#cheaper(best.resident, objective);
      if (now === undefined) continue;
      const next = offers.at(-1);
      if (next === undefined || now.gain >= next.gain) this.#move(now);
      else {
        const place = offers.findLastIndex(({ gain }) => gain <= now.gain);
        offers.splice(place + 1, 0, now);
      }
    }
  }

  #cheaper(resident: Resident, objective: "price" | "carbon"): Relocation | undefined {
    const present = rateOf(this.#node(resident.nodeId), objective);
    const target = present === undefined ? undefined : this.#target(resident);
    const rate = target === undefined ? undefined : rateOf(target, objective);
    if (present === undefined || target === undefined || rate === undefined) return undefined;
    const gain = (present - rate) * resident.request.vcpus;
    return gain > leastGain[objective] ? { resident, to: target.id, gain } : undefined;
  }

  /** Whole nodes, those with least on them first, into others that have something already. */
  empty(maxMoves: number): void {
    for (const node of [...this.#fleet.nodes()]) if (isEmpty(node)) this.#fleet.remove(node.id);
    const receivers = new Set<string>();
    const nodes = [...this.#here].sort(([one, some], [other, others]) => {
      return some.length - others.length || (this.#node(one).name < this.#node(other).name ? -1 : 1);
    });
    for (const [id, residents] of nodes) {
      if (receivers.has(id) || residents.length > maxMoves - this.relocations.length) continue;
      if (!isAllOf(this.#node(id), residents)) continue;
      const targets = this.#emptyOne(id, residents);
      for (const target of targets) receivers.add(target);
    }
  }

  /** Returns where they went; nowhere, with all as it was, unless all find a place. */
  #emptyOne(id: string, residents: readonly Resident[]): readonly string[] {
    const begun = this.relocations.length;
    const largestFirst = residents.toSorted((one, other) => other.request.vcpus - one.request.vcpus);
    for (const resident of largestFirst) {
      const target = this.#target(resident);
      if (target !== undefined) {
        this.#move({ resident, to: target.id, gain: 0 });
        continue;
      }
      for (const { resident: moved, to } of this.relocations.splice(begun)) {
        this.#load(to, moved, -1);
        this.#load(id, moved, 1);
        this.#here.get(id)?.push(moved);
      }
      return [];
    }
    const moved = this.relocations.slice(begun);
    const last = this.relocations.pop();
    if (last !== undefined) this.relocations.push({ ...last, gain: 1 });
    this.#fleet.remove(id);
    return moved.map(({ to }) => to);
  }

  #target({ nodeId, request }: Resident): Candidate | undefined {
    const { stayPut: _here, seed: _any, ...asked } = request;
    const { slot } = this.#placer.best({
      ...asked,
      weights: weightsFor[this.#objective],
      excludeNodes: [...(request.excludeNodes ?? []), this.#node(nodeId).name],
    });
    return slot < 0 ? undefined : this.#fleet.at(slot);
  }

  #move(relocation: Relocation): void {
    const { resident, to } = relocation;
    this.#load(resident.nodeId, resident, -1);
    this.#load(to, resident, 1);
    const left = this.#here.get(resident.nodeId)?.filter(({ id }) => id !== resident.id) ?? [];
    if (left.length > 0) this.#here.set(resident.nodeId, left);
    else this.#here.delete(resident.nodeId);
    this.relocations.push(relocation);
  }

  #load(nodeId: string, { request }: Resident, sign: 1 | -1): void {
    const slot = this.#fleet.slotOf(nodeId);
    if (slot !== undefined) this.#fleet.setUsed(nodeId, withLoad(this.#fleet.at(slot), request, sign).used);
  }

  #node(id: string): Candidate {
    return this.#fleet.at(this.#fleet.slotOf(id) ?? -1);
  }
}

function withLoad(node: Candidate, { vcpus, memoryMiB, diskMiB }: Resident["request"], sign: 1 | -1): Candidate {
  const { used } = node;
  return {
    ...node,
    used: {
      vcpus: used.vcpus + sign * vcpus,
      memoryMiB: used.memoryMiB + sign * memoryMiB,
      diskMiB: used.diskMiB + sign * diskMiB,
    },
  };
}

/** Whether nothing else is on it. */
function isAllOf(node: Candidate, residents: readonly Resident[]): boolean {
  return isEmpty(residents.reduce((left, { request }) => withLoad(left, request, -1), node));
}
