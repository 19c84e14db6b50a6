import type { Capacity } from "@skerry/model";
import type { Candidate } from "@skerry/placement";
import type { ChangeEvent, Tracker, Store, View } from "@skerry/store";
import type { Allocation } from "./allocation.ts";
import { candidateOf, fleetOf, idle } from "./placing.ts";

/** A candidate whose taken part is written anew for each decision. */
type Seat = Omit<Candidate, "used"> & { used: Readonly<Capacity> };

/**
 * Every node as placement sees it, kept from one decision to the next: one is made anew when it has changed, all when a site or a
 * provider has.
 * A decision costs 0.1 us for each node here.
 */
export class Fleet implements Tracker {
  readonly #allocation: Pick<Allocation, "in">;
  #newest: View;
  /** In no order; undefined until they are asked for. */
  #seats: Seat[] | undefined;
  /** By a node's id: its place among the seats. */
  readonly #places = new Map<string, number>();
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
    for (const { kind, id } of events) {
      if (kind === "Site" || kind === "Provider") this.#seats = undefined;
      else if (kind === "Node" && this.#seats !== undefined) this.#reseat(this.#seats, id);
    }
  }

  #reseat(seats: Seat[], nodeId: string): void {
    const node = this.#newest.getById("Node", nodeId);
    const seat = node === undefined ? undefined : candidateOf(this.#newest, node, idle);
    const place = this.#places.get(nodeId) ?? seats.length;
    if (seat !== undefined) {
      seats[place] = seat;
      this.#places.set(nodeId, place);
    } else if (this.#places.delete(nodeId)) {
      const last = seats.pop();
      if (last === undefined || last.id === nodeId) return;
      seats[place] = last;
      this.#places.set(last.id, place);
    }
  }

  #seatAll(): Seat[] {
    this.#places.clear();
    const seats = fleetOf(this.#newest, idle) as Seat[];
    for (const [place, { id }] of seats.entries()) this.#places.set(id, place);
    return (this.#seats = seats);
  }

  /** The candidates as this view has them; good until the next call. */
  in(view: View): readonly Candidate[] {
    const used = this.#allocation.in(view);
    // A transaction that has changed something may have changed these.
    if (view.revision !== this.#newest.revision) return fleetOf(view, used);
    const seats = this.#seats ?? this.#seatAll();
    for (const seat of seats) seat.used = used(seat.id);
    return seats;
  }
}
