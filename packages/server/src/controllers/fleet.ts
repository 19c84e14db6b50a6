import type { Capacity } from "@skerry/model";
import type { Candidate } from "@skerry/placement";
import type { ChangeEvent, Tracker, Store, View } from "@skerry/store";
import type { Allocation } from "./allocation.ts";
import { fleetOf, idle } from "./placing.ts";

/** A candidate whose taken part is written anew for each decision. */
type Seat = Omit<Candidate, "used"> & { used: Readonly<Capacity> };

/**
 * Every node as placement sees it, kept from one decision to the next: made anew only after nodes, sites or providers changed.
 * A decision costs 0.1 us for each node here.
 */
export class Fleet implements Tracker {
  readonly #allocation: Pick<Allocation, "in">;
  #newest: View;
  #seats: readonly Seat[] | undefined;
  readonly #stop: () => void;

  constructor(store: Store, allocation: Pick<Allocation, "in">) {
    this.#allocation = allocation;
    this.#newest = store;
    this.#stop = store.track(this);
  }

  close(): void {
    this.#stop();
  }

  reset(newest: View): void {
    this.#newest = newest;
    this.#seats = undefined;
  }

  applied(events: readonly ChangeEvent[]): void {
    for (const { kind } of events)
      if (kind === "Node" || kind === "Site" || kind === "Provider") this.#seats = undefined;
  }

  /** The candidates as this view has them; good until the next call. */
  in(view: View): readonly Candidate[] {
    const used = this.#allocation.in(view);
    // A transaction that has changed something may have changed these.
    if (view.revision !== this.#newest.revision) return fleetOf(view, used);
    this.#seats ??= fleetOf(this.#newest, idle) as Seat[];
    for (const seat of this.#seats) seat.used = used(seat.id);
    return this.#seats;
  }
}
