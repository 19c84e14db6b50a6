import { FleetJournal, NodeFleet, Placer, type Candidate, type PlacementRequest, type Steps } from "@skerry/placement";
import type { Transaction, View } from "@skerry/store";
import type { Allocation, UsedOn } from "./allocation.ts";
import { candidateOf, fleetOf } from "./placing.ts";

/** How many changes of nodes, and how many decisions, are remembered: 10 MB at most. */
const changesKept = 32_768;
const decisionsKept = 8192;

/** What was asked, and after how many changes of the fleet. */
interface Remembered {
  readonly request: PlacementRequest;
  readonly mark: number;
}

/** A fleet and its past, for whoever looks at it closely while others go on to decide. */
export interface FleetSnapshot {
  /** Of the newest change that it knows of. */
  readonly revision: number;
  /** Nobody else's. */
  readonly placer: Placer;
  /** What was asked at a revision, and what sets the placer back to it; absent where that is not remembered. */
  readonly past?: { readonly request: PlacementRequest; readonly setBack: Steps<void> };
}

/**
 * What chooses nodes of the newest state, kept from one decision to the next: a decision costs what has changed since the last one,
 * about 3 us for each node that has, and not the whole fleet.
 */
export class PlacerKept {
  readonly #allocation: Pick<Allocation, "in" | "takeChanged" | "correctedIn">;
  #newest: View | undefined;
  /** Undefined until it is asked for. */
  #placer: Placer | undefined;
  readonly #changed = new Set<string>();
  /** Nodes with devices, whose place says which are free. */
  readonly #equipped = new Set<string>();
  /** Nodes that have what a transaction took on them, which is not the newest state's. */
  readonly #lent = new Set<string>();
  #journal = new FleetJournal(changesKept);
  /** By the revision just before each, in their order. */
  readonly #decisions = new Map<number, Remembered>();

  constructor(allocation: Pick<Allocation, "in" | "takeChanged" | "correctedIn">) {
    this.#allocation = allocation;
  }

  /** All may be otherwise. */
  reset(newest: View): void {
    this.#newest = newest;
    this.#placer = undefined;
    this.#changed.clear();
    this.#lent.clear();
    this.#equipped.clear();
    this.#journal = new FleetJournal(changesKept);
    this.#decisions.clear();
  }

  /** Remembers what was asked of `in(view)` just now, where `revision` is the view's. */
  decided(revision: number, request: PlacementRequest): void {
    // A transaction that was thrown away may have had the same.
    this.#decisions.delete(revision);
    this.#decisions.set(revision, { request, mark: this.#journal.mark });
    if (this.#decisions.size > decisionsKept)
      for (const oldest of this.#decisions.keys()) return void this.#decisions.delete(oldest);
  }

  /** The newest state, to keep, and what sets it back to where something was decided. About 0.5 us for each node. */
  snapshot(newest: View, revision?: number): FleetSnapshot {
    const { fleet } = this.in(newest);
    const copy = fleet.copy();
    const snapshot = { revision: newest.revision, placer: new Placer(copy) };
    const decided = revision === undefined ? undefined : this.#decisions.get(revision);
    if (decided === undefined || !this.#journal.remembers(decided.mark)) return snapshot;
    return { ...snapshot, past: { request: decided.request, setBack: this.#journal.undo(copy, decided.mark) } };
  }

  /** All nodes of which this is so may be otherwise. */
  changedWhere(isSo: (node: Candidate) => boolean): void {
    if (this.#placer === undefined) return;
    for (const node of this.#placer.fleet.nodes()) if (isSo(node)) this.#changed.add(node.id);
  }

  /** A node is, or was put or deleted. */
  changed(nodeId: string): void {
    if (this.#placer !== undefined) this.#changed.add(nodeId);
  }

  /** With what this transaction has taken itself; any other view is taken for the newest. */
  in(view: View & Partial<Pick<Transaction, "written">>): Placer {
    const newest = this.#newest ?? view;
    const corrected = [...this.#allocation.correctedIn(view)];
    // Asked for first: what it answers for a transaction is good until it is asked for another.
    const base = this.#allocation.in(newest);
    const taken = this.#allocation.takeChanged();
    this.#placer ??= this.#make(newest, base);
    const { fleet } = this.#placer;
    for (const nodeId of this.#changed) {
      const node = newest.getById("Node", nodeId);
      const candidate = node === undefined ? undefined : candidateOf(newest, node, base);
      if (candidate === undefined) this.#journal.remove(fleet, nodeId);
      else this.#journal.put(fleet, candidate);
      if (candidate?.devices === undefined) this.#equipped.delete(nodeId);
      else this.#equipped.add(nodeId);
    }
    this.#changed.clear();
    for (const nodes of [taken, this.#lent]) for (const nodeId of nodes) this.#take(fleet, nodeId, base);
    this.#lent.clear();
    const own = this.#allocation.in(view);
    for (const nodeId of corrected) {
      this.#take(fleet, nodeId, own);
      this.#lent.add(nodeId);
    }
    return this.#placer;
  }

  #make(newest: View, used: UsedOn): Placer {
    const hosts = fleetOf(newest, used);
    for (const { id, devices } of hosts) if (devices !== undefined) this.#equipped.add(id);
    return new Placer(new NodeFleet(hosts));
  }

  #take(fleet: NodeFleet, nodeId: string, used: UsedOn): void {
    const node = this.#equipped.has(nodeId) ? this.#newest?.getById("Node", nodeId) : undefined;
    const host = node === undefined || this.#newest === undefined ? undefined : candidateOf(this.#newest, node, used);
    if (host === undefined) this.#journal.setUsed(fleet, nodeId, used(nodeId));
    else this.#journal.put(fleet, host);
  }
}
