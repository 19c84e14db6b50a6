import { byName, type Naming } from "../naming.ts";
import { decideSteps } from "../place.ts";
import type { Decision } from "../place.ts";
import type { Placer } from "../placer.ts";
import type { PlacementRequest } from "../request.ts";
import type { Steps } from "../steps.ts";
import { changeFleet } from "./fleet-change.ts";
import type { FleetChange } from "./fleet-change.ts";

/** Something to be placed. */
export interface Subject {
  /** @param places names of the nodes of those before it; undefined for those that found none */
  readonly request: (places: readonly (string | undefined)[]) => PlacementRequest;
  /** The node where it is, and what it takes there, which it gives back first. */
  readonly present?: { readonly nodeId: string; readonly takes: PlacementRequest };
}

export interface Simulation {
  /** Where each would go as things are, and then as they would be. */
  readonly subjects: readonly { readonly now: Simulated; readonly changed: Simulated }[];
  /** How many nodes each change took away, brought or changed. */
  readonly touched: readonly number[];
  /** The nodes of the fleet before and after the changes. */
  readonly nodes: { readonly now: number; readonly changed: number };
}

/** Undefined for one more that finds no node, when the reasons of enough others were told. */
export type Simulated = Decision | undefined;

/** Each looks at every node. */
const refusalsTold = 20;

/**
 * Places all subjects, one after the other in their order, first in the fleet as it is and then as the changes make it: what the same
 * creates would do. The fleet is changed: it is one that nobody else decides by.
 */
export function* simulateSteps(
  placer: Placer,
  subjects: readonly Subject[],
  changes: readonly FleetChange[],
  naming: Naming = byName,
): Steps<Simulation> {
  const { fleet } = placer;
  const size = fleet.size;
  for (const { present } of subjects) if (present !== undefined) giveBack(placer, present);
  const now = yield* placeAll(placer, subjects, naming);
  const touched = yield* changeFleet(fleet, changes);
  const changed = yield* placeAll(placer, subjects, naming);
  return {
    subjects: subjects.map((_, index) => ({ now: now[index], changed: changed[index] })),
    touched,
    nodes: { now: size, changed: fleet.size },
  };
}

/** Takes from a node what something takes there. */
export function giveBack({ fleet }: Placer, { nodeId, takes }: NonNullable<Subject["present"]>): void {
  const slot = fleet.slotOf(nodeId);
  if (slot === undefined) return;
  const { vcpus, memoryMiB, diskMiB } = takes;
  const size = { vcpus, memoryMiB, diskMiB };
  const { hugepagesMiB = 0, devices = {} } = fleet.at(slot).spare === undefined ? {} : takes;
  // Which cells it is pinned in is not known.
  fleet.release({ id: nodeId, size, hugepagesMiB, devices, cells: [], share: { vcpus: 0, memoryMiB: 0 } });
}

/** What is reserved for one is given back once all are placed. */
function* placeAll(placer: Placer, subjects: readonly Subject[], naming: Naming): Steps<Simulated[]> {
  const { fleet } = placer;
  const decisions: Simulated[] = [];
  const places: (string | undefined)[] = [];
  const reservations = [];
  let told = 0;
  for (const { request } of subjects) {
    yield;
    const asked = request(places);
    const { slot } = placer.best(asked);
    const isSilent = slot < 0 && told >= refusalsTold;
    const decision = isSilent ? undefined : yield* decideSteps(placer, asked, naming);
    if (slot < 0) told += 1;
    else reservations.push(fleet.reserve(slot, asked));
    decisions.push(decision);
    places.push(slot < 0 ? undefined : fleet.at(slot).name);
  }
  for (const reservation of reservations) fleet.release(reservation);
  return decisions;
}
