import type { InstanceResource } from "@skerry/model";
import { NodeFleet, Placer, type PlacementRequest } from "@skerry/placement";
import type { ChangeEvent, Store, Tracker, Transaction, View } from "@skerry/store";
import type { Allocation, TakenOnNode } from "./allocation.ts";
import { OwnChanges } from "../own-changes.ts";
import { AffinityBook, type Asking } from "./affinity-book.ts";
import { devicesOn, type Host } from "./devices.ts";
import { candidateOf, fleetOf, idle, requestOf } from "./placing.ts";
import { PlacerKept, type FleetSnapshot } from "./placer-kept.ts";

/**
 * Every node as placement sees it, kept from one decision to the next: one is made anew when it has changed, all when a site or a
 * provider has; so also for a transaction that has changed such itself.
 * A decision costs 0.1 us for each node here.
 */
export class Fleet implements Tracker {
  readonly #allocation: Taken;
  readonly #placer: PlacerKept;
  readonly #affinity: AffinityBook;
  #newest: View;
  /** Undefined until they are asked for. */
  #seats: Seats | undefined;
  /** As a transaction has them that has changed any itself. */
  readonly #own = new OwnChanges<Own>(
    () => ({}),
    (own, changes, tx) => {
      const events = changes.map(({ event }) => event);
      if (events.some(({ kind }) => kind === "Site" || kind === "Provider" || kind === "Node")) delete own.kept;
      if (events.some(concernsAll)) own.seats = new Seats(fleetOf(tx, idle));
      else
        for (const { kind, id } of events) {
          if (kind === "Node") (own.seats ??= new Seats(this.#kept().list)).reseat(tx, id);
        }
    },
  );
  readonly #stop: () => void;

  constructor(store: Store, allocation: Taken) {
    this.#allocation = allocation;
    this.#placer = new PlacerKept(allocation);
    this.#affinity = new AffinityBook(store);
    this.#newest = store;
    this.#stop = store.track(this);
  }

  close(): void {
    this.#stop();
    this.#affinity.close();
  }

  reset(newest: View): void {
    this.#newest = newest;
    this.#seats = undefined;
    this.#placer.reset(newest);
  }

  applied(events: readonly ChangeEvent[]): void {
    for (const event of events) {
      const { kind, type, name } = event;
      if (concernsAll(event)) this.#seats = undefined;
      else if (kind === "Node") {
        this.#seats?.reseat(this.#newest, event.id);
        this.#placer.changed(event.id);
      }
      if (kind === "Site" && type === "updated") this.#placer.changedWhere(({ site }) => site === name);
      else if (kind === "Provider" && type === "updated")
        this.#placer.changedWhere(({ provider }) => provider === name);
      else if (concernsAll(event)) this.#placer.reset(this.#newest);
    }
  }

  #kept(): Seats {
    return (this.#seats ??= new Seats(fleetOf(this.#newest, idle)));
  }

  /** How many nodes there are, about. */
  get size(): number {
    return this.#kept().list.length;
  }

  /** Makes what is kept of the fleet, for which the first decision would wait: 30 us a node. */
  prepare(): void {
    this.placerIn(this.#newest);
  }

  /** What chooses among them, as this transaction has them; any other view is taken for the newest. Good until the next call. */
  placerIn(view: View & Partial<Pick<Transaction, "written">>): Placer {
    const own = view.written === undefined ? undefined : this.#own.of(view.written, view);
    return own?.seats === undefined ? this.#placer.in(view) : this.#ownPlacer(view, own, own.seats);
  }

  /** Made once for a transaction, 10 us a node; then it costs what that has taken. */
  #ownPlacer(view: View & Partial<Pick<Transaction, "written">>, own: Own, seats: Seats): Placer {
    const corrected = new Set(this.#allocation.correctedIn(view));
    if (own.kept === undefined) {
      const hosts = this.in(view).map((seat) => ({ ...seat }));
      own.kept = { placer: new Placer(new NodeFleet(hosts)), corrected };
      return own.kept.placer;
    }
    const used = this.#allocation.in(view);
    const { placer } = own.kept;
    for (const nodeId of new Set([...own.kept.corrected, ...corrected])) {
      const seat = seats.of(nodeId);
      if (seat === undefined) continue;
      const taken = used(nodeId);
      if (seat.devices === undefined) placer.fleet.setUsed(nodeId, taken);
      else placer.fleet.put({ ...seat, used: taken, ...devicesOn(seat.devices, taken.devices) });
    }
    own.kept = { placer, corrected };
    return placer;
  }

  /**
   * What an instance asks of its node, by its peers too.
   * @param without ids of others that are no peers of it
   */
  requestOf(
    view: View & Partial<Pick<Transaction, "written">>,
    instance: InstanceResource,
    without: readonly string[] = [],
  ): PlacementRequest {
    const { id, project = "", labels } = instance.metadata;
    const { placement } = instance.spec;
    const asking = { project, labels, ...(placement === undefined ? {} : { placement }) };
    return this.withPeers(view, requestOf(view, instance), asking, [id, ...without]);
  }

  /** The same of something that is not there. */
  withPeers(
    view: View & Partial<Pick<Transaction, "written">>,
    request: PlacementRequest,
    asking: Asking,
    without: readonly string[],
  ): PlacementRequest {
    const affinity = this.#affinity.termsFor(view, asking, new Set(without));
    return affinity.length === 0 ? request : { ...request, affinity };
  }

  /** Remembers what was asked of `placerIn` just now. */
  decided(revision: number, request: PlacementRequest): void {
    this.#placer.decided(revision, request);
  }

  /** The newest state, to look at closely while others go on to decide; and, of a decision's revision, what it was then. */
  snapshot(revision?: number): FleetSnapshot {
    return this.#placer.snapshot(this.#newest, revision);
  }

  /** The candidates as this transaction has them; any other view is taken for the newest. Good until the next call. */
  in(view: View & Partial<Pick<Transaction, "written">>): readonly Host[] {
    const used = this.#allocation.in(view);
    const own = view.written === undefined ? undefined : this.#own.of(view.written, view).seats;
    const seats = (own ?? this.#kept()).list;
    for (const seat of seats) {
      const taken = used(seat.id);
      seat.used = taken;
      if (seat.devices !== undefined) Object.assign(seat, devicesOn(seat.devices, taken.devices));
    }
    return seats;
  }
}

/** What is asked of Allocation. */
export type Taken = Pick<Allocation, "in" | "takeChanged" | "correctedIn">;

function concernsAll({ kind }: ChangeEvent): boolean {
  return kind === "Site" || kind === "Provider";
}

/** A candidate whose taken part is written anew for each decision. */
type Seat = Omit<Host, "used"> & { used: Readonly<TakenOnNode> };

/** What a transaction that has changed nodes itself has of them. */
interface Own {
  seats?: Seats;
  kept?: { readonly placer: Placer; readonly corrected: ReadonlySet<string> };
}

class Seats {
  /** In no order. */
  readonly list: Seat[];
  /** By a node's id. */
  readonly #places = new Map<string, number>();

  constructor(candidates: readonly Host[]) {
    this.list = [...candidates];
    for (const [place, { id }] of candidates.entries()) this.#places.set(id, place);
  }

  of(nodeId: string): Seat | undefined {
    const place = this.#places.get(nodeId);
    return place === undefined ? undefined : this.list[place];
  }

  reseat(view: View, nodeId: string): void {
    const node = view.getById("Node", nodeId);
    const seat = node === undefined ? undefined : candidateOf(view, node, idle);
    const place = this.#places.get(nodeId) ?? this.list.length;
    if (seat !== undefined) {
      this.list[place] = seat;
      this.#places.set(nodeId, place);
    } else if (this.#places.delete(nodeId)) {
      const last = this.list.pop();
      if (last === undefined || last.id === nodeId) return;
      this.list[place] = last;
      this.#places.set(last.id, place);
    }
  }
}
