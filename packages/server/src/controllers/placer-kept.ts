import { NodeFleet, Placer } from "@skerry/placement";
import type { Transaction, View } from "@skerry/store";
import type { Allocation } from "./allocation.ts";
import { candidateOf, fleetOf } from "./placing.ts";

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
  /** Nodes that have what a transaction took on them, which is not the newest state's. */
  readonly #lent = new Set<string>();

  constructor(allocation: Pick<Allocation, "in" | "takeChanged" | "correctedIn">) {
    this.#allocation = allocation;
  }

  /** All may be otherwise. */
  reset(newest: View): void {
    this.#newest = newest;
    this.#placer = undefined;
    this.#changed.clear();
    this.#lent.clear();
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
    if (this.#placer === undefined) this.#placer = new Placer(new NodeFleet(fleetOf(newest, base)));
    const { fleet } = this.#placer;
    for (const nodeId of this.#changed) {
      const node = newest.getById("Node", nodeId);
      const candidate = node === undefined ? undefined : candidateOf(newest, node, base);
      if (candidate === undefined) fleet.remove(nodeId);
      else fleet.put(candidate);
    }
    this.#changed.clear();
    for (const nodes of [taken, this.#lent]) for (const nodeId of nodes) fleet.setUsed(nodeId, base(nodeId));
    this.#lent.clear();
    const own = this.#allocation.in(view);
    for (const nodeId of corrected) {
      fleet.setUsed(nodeId, own(nodeId));
      this.#lent.add(nodeId);
    }
    return this.#placer;
  }
}
