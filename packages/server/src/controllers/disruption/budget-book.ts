import { isDeepStrictEqual } from "node:util";
import type { DisruptionBudgetResource, InstanceResource, KindName, ResourceOf } from "@skerry/model";
import type { Before, ChangeEvent, Store, Tracker, Transaction, View } from "@skerry/store";
import { isFor, talliesOf, type Tally } from "./budget-guard.ts";
import { isMoving, isUnavailable, isWanted } from "./unavailable.ts";

/** What one instance is to budgets. */
interface Counted {
  /** Places of its budgets in the project's list. */
  readonly concerned: readonly number[];
  readonly nodeId: string | undefined;
  readonly down: number;
  readonly moving: number;
}

/** A project that has budgets. */
interface Kept {
  readonly tallies: (Omit<Tally, "budget"> & { budget: DisruptionBudgetResource })[];
  readonly counted: Map<string, Counted>;
}

/** So many instances that budgets are for are kept, 200 bytes each; beyond, the projects that were asked for longest ago are let go. */
const defaultKept = 200_000;

/**
 * What there is of budgets, of the newest state: a project is counted when it is asked for, and from then on kept up by what changes:
 * 5 us for each change of an instance that a budget is for, and for each on a node that comes or goes.
 */
export class BudgetBook implements Tracker {
  /** Those last that were asked for last. */
  readonly #projects = new Map<string, Kept>();
  /** The projects of instances that are kept, by node and id. */
  readonly #onNodes = new Map<string, Map<string, string>>();
  readonly #mostKept: number;
  #newest: View;
  readonly #stop: () => void;

  constructor(store: Store, mostKept = defaultKept) {
    this.#mostKept = mostKept;
    this.#newest = store;
    this.#stop = store.track(this);
  }

  close(): void {
    this.#stop();
  }

  reset(newest: View): void {
    this.#newest = newest;
    this.#projects.clear();
    this.#onNodes.clear();
  }

  applied(events: readonly ChangeEvent[], newest: View, before: Before): void {
    for (const [index, { object, type, id, project = "" }] of events.entries()) {
      const was = before[index];
      if (object.kind === "Node") {
        const isAlike = type === "updated" && was?.kind === "Node" && was.status.connected === object.status.connected;
        if (isAlike) continue;
        for (const [instanceId, where] of this.#onNodes.get(id) ?? [])
          this.#note(where, instanceId, newest.getById("Instance", instanceId));
      } else if (object.kind === "Instance") {
        this.#note(project, id, type === "deleted" ? undefined : object);
      } else if (object.kind === "DisruptionBudget") {
        const tally = this.#projects.get(project)?.tallies.find(({ budget }) => budget.metadata.id === id);
        const isAlike = type === "updated" && isDeepStrictEqual(tally?.budget.spec.selector, object.spec.selector);
        if (tally !== undefined && isAlike) tally.budget = object;
        else this.#forget(project);
      }
    }
  }

  /** Shows of a budget what there is of it now; for replies. */
  counted<R extends ResourceOf<KindName>>(resource: R): R {
    if (resource.kind !== "DisruptionBudget") return resource;
    const { name, project = "" } = resource.metadata;
    const tally = this.#of(project).tallies.find(({ budget }) => budget.metadata.name === name);
    if (tally === undefined) return resource;
    const { instances, unavailable } = tally;
    const allowed = Math.max(0, resource.spec.maxUnavailable - unavailable);
    return { ...resource, status: { ...resource.status, instances, unavailable, allowed } };
  }

  /** A project's, as this transaction has them; the caller's own. Costs what the transaction has changed itself. */
  in(tx: View & Partial<Pick<Transaction, "written">>, project: string): readonly Tally[] {
    const { written = [] } = tx;
    const isOther = written.some(
      ({ event }) => event.kind === "Node" || (event.kind === "DisruptionBudget" && event.project === project),
    );
    if (isOther) return talliesOf(tx, project);
    const kept = this.#of(project);
    const tallies = kept.tallies.map((tally) => ({ ...tally }));
    const own = written.flatMap(({ event }) =>
      event.kind === "Instance" && event.project === project ? [event.id] : [],
    );
    for (const id of new Set(own)) {
      const instance = tx.getById("Instance", id);
      add(tallies, kept.counted.get(id), -1);
      if (instance !== undefined) add(tallies, countedOf(tx, tallies, instance), 1);
    }
    return tallies;
  }

  /** Instances that are kept. */
  get size(): number {
    let size = 0;
    for (const { counted } of this.#projects.values()) size += counted.size;
    return size;
  }

  #of(project: string): Kept {
    const kept = this.#projects.get(project);
    if (kept === undefined) return this.#count(project);
    this.#projects.delete(project);
    this.#projects.set(project, kept);
    return kept;
  }

  #count(project: string): Kept {
    const budgets = this.#newest.list("DisruptionBudget", project);
    const tallies = budgets.map((budget) => ({ budget, instances: 0, unavailable: 0, moving: 0 }));
    const kept: Kept = { tallies, counted: new Map() };
    if (budgets.length === 0) return kept;
    this.#projects.set(project, kept);
    for (const instance of this.#newest.list("Instance", project)) this.#note(project, instance.metadata.id, instance);
    let { size } = this;
    for (const [oldest, { counted }] of [...this.#projects]) {
      if (size <= this.#mostKept || oldest === project) break;
      size -= counted.size;
      this.#forget(oldest);
    }
    return kept;
  }

  /** @param instance undefined for one that is gone */
  #note(project: string, id: string, instance: InstanceResource | undefined): void {
    const kept = this.#projects.get(project);
    if (kept === undefined) return;
    const { tallies, counted } = kept;
    const [was, is] = [
      counted.get(id),
      instance === undefined ? undefined : countedOf(this.#newest, tallies, instance),
    ];
    add(tallies, was, -1);
    add(tallies, is, 1);
    if (is === undefined) counted.delete(id);
    else counted.set(id, is);
    if (was?.nodeId === is?.nodeId) return;
    if (was?.nodeId !== undefined) this.#leave(was.nodeId, id);
    if (is?.nodeId === undefined) return;
    const there = this.#onNodes.get(is.nodeId) ?? new Map<string, string>();
    this.#onNodes.set(is.nodeId, there.set(id, project));
  }

  #leave(nodeId: string, id: string): void {
    const there = this.#onNodes.get(nodeId);
    there?.delete(id);
    if (there?.size === 0) this.#onNodes.delete(nodeId);
  }

  #forget(project: string): void {
    for (const [id, { nodeId }] of this.#projects.get(project)?.counted ?? [])
      if (nodeId !== undefined) this.#leave(nodeId, id);
    this.#projects.delete(project);
  }
}

/** Undefined for what no budget is for. */
function countedOf(
  view: View,
  tallies: readonly Pick<Tally, "budget">[],
  instance: InstanceResource,
): Counted | undefined {
  if (!isWanted(instance)) return undefined;
  const concerned = tallies.flatMap(({ budget }, place) => (isFor(budget, instance) ? [place] : []));
  if (concerned.length === 0) return undefined;
  const down = isUnavailable(view, instance) ? 1 : 0;
  return { concerned, nodeId: instance.assignment?.nodeId, down, moving: isMoving(instance) ? down : 0 };
}

function add(tallies: readonly Tally[], counted: Counted | undefined, sign: 1 | -1): void {
  if (counted === undefined) return;
  for (const place of counted.concerned) {
    const tally = tallies[place];
    if (tally === undefined) continue;
    tally.instances += sign;
    tally.unavailable += sign * counted.down;
    tally.moving += sign * counted.moving;
  }
}
