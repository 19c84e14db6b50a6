import type { Capacity, InstanceAssignment, InstanceResource, VolumeResource } from "@skerry/model";
import type { Before, ChangeEvent, Store, Tracker, Transaction, View } from "@skerry/store";
import { OwnChanges } from "../own-changes.ts";
import { addressesOf } from "./devices.ts";

/** What of one instance, its disk included, counts against one node. */
interface Share extends Capacity {
  readonly nodeId: string;
  /** Addresses of the devices that it has for itself. */
  readonly devices?: ReadonlySet<string>;
}

/** What is taken of a node. */
export interface TakenOnNode extends Capacity {
  /** How many instances hold a device, by its address: one, of what is held at all. */
  devices?: ReadonlyMap<string, number>;
}

export type UsedOn = (nodeId: string) => Readonly<TakenOnNode>;

const nothing: Readonly<TakenOnNode> = { vcpus: 0, memoryMiB: 0, diskMiB: 0 };

/**
 * What instances take on each node: where they are assigned, where a running move will take them, and wherever a copy of
 * their disk is. Kept up with the newest state, and in a transaction with its own changes: asking costs what it has changed since
 * it last asked, never the whole fleet.
 */
export class Allocation implements Tracker {
  readonly #used = new Map<string, TakenOnNode>();
  /** Nodes of it that have changed since somebody took note. */
  #changed = new Set<string>();
  /** What a transaction's own changes take beyond that. */
  readonly #corrections = new OwnChanges(
    () => new Map<string, TakenOnNode>(),
    (corrections, changes, tx) =>
      recount(
        corrections,
        changes.map(({ event }) => event),
        tx,
        changes.map(({ before }) => before),
      ),
  );
  readonly #stop: () => void;

  constructor(store: Store) {
    this.#stop = store.track(this);
  }

  close(): void {
    this.#stop();
  }

  /** About 0.5 us for each instance. */
  reset(newest: View): void {
    this.#used.clear();
    newest.plains("Instance", (instance) => {
      const { nodeId, rootVolume } = instance;
      if (nodeId === "") return;
      if (rootVolume === undefined) {
        const { key } = instance;
        for (const share of sharesOf(newest.get("Instance", key), newest.get("Volume", key))) add(this.#used, share, 1);
        return;
      }
      const used = this.#used.get(nodeId) ?? { ...nothing };
      this.#used.set(nodeId, used);
      used.vcpus += instance.vcpus;
      used.memoryMiB += instance.memoryMiB;
      used.diskMiB += rootVolume.sizeMiB;
    });
    for (const instance of newest.notables("Instance"))
      for (const share of sharesOf(instance, newest.get("Volume", instance.metadata))) add(this.#used, share, 1);
  }

  applied(events: readonly ChangeEvent[], newest: View, before: Before): void {
    recount(this.#used, events, newest, before, this.#changed);
  }

  /** The nodes on which what is taken has changed since the last call; but for resets, which change all. */
  takeChanged(): ReadonlySet<string> {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  /** The nodes on which a transaction's own changes take or give back something; as good as `in`. */
  correctedIn(view: View & Partial<Pick<Transaction, "written">>): Iterable<string> {
    return view.written === undefined ? [] : this.#corrections.of(view.written, view).keys();
  }

  /** What is taken on each node as this transaction has it; any other view is taken for the newest. Good until the next call. */
  in(view: View & Partial<Pick<Transaction, "written">>): UsedOn {
    const corrections = view.written === undefined ? undefined : this.#corrections.of(view.written, view);
    if (corrections === undefined || corrections.size === 0) return (nodeId) => this.#used.get(nodeId) ?? nothing;
    return (nodeId) => {
      const used = this.#used.get(nodeId) ?? nothing;
      const correction = corrections.get(nodeId);
      return correction === undefined ? used : sum(used, correction);
    };
  }
}

/** Counts what these changes, all that there are between `before` and `newest`, take and give back. */
function recount(
  used: Map<string, TakenOnNode>,
  events: readonly ChangeEvent[],
  newest: View,
  before: Before,
  changed?: Set<string>,
): void {
  const take = (share: Share, sign: 1 | -1): void => {
    add(used, share, sign);
    changed?.add(share.nodeId);
  };
  for (const [place, found] of foundAt(events, before, newest)) {
    const key = keyOf(place);
    for (const share of sharesOf(found.instance, found.volume)) take(share, -1);
    for (const share of sharesOf(newest.get("Instance", key), newest.get("Volume", key))) take(share, 1);
  }
}

interface Pair {
  instance: InstanceResource | undefined;
  volume: VolumeResource | undefined;
}

/** What was, just before these changes, at each place where an instance or a volume has changed. */
function foundAt(events: readonly ChangeEvent[], before: Before, newest: View): ReadonlyMap<string, Pair> {
  const instances = new Map<string, InstanceResource | undefined>();
  const volumes = new Map<string, VolumeResource | undefined>();
  const note = <R extends InstanceResource | VolumeResource>(
    found: Map<string, R | undefined>,
    old: R | undefined,
    now: R,
  ) => {
    // The first to say so is right: what comes later found what an earlier one made.
    if (old !== undefined && !found.has(placeOf(old))) found.set(placeOf(old), old);
    if (!found.has(placeOf(now))) found.set(placeOf(now), undefined);
  };
  for (const [index, { object }] of events.entries()) {
    if (object.kind === "Instance") note(instances, before[index] as InstanceResource | undefined, object);
    else if (object.kind === "Volume") note(volumes, before[index] as VolumeResource | undefined, object);
  }
  const found = new Map<string, Pair>();
  for (const place of [...instances.keys(), ...volumes.keys()]) {
    const key = keyOf(place);
    const instance = instances.has(place) ? instances.get(place) : newest.get("Instance", key);
    const volume = volumes.has(place) ? volumes.get(place) : newest.get("Volume", key);
    found.set(place, { instance, volume });
  }
  return found;
}

/** Sorts as the store does: a space comes before all that a name may hold. */
function placeOf({ metadata }: { readonly metadata: { readonly project?: string; readonly name: string } }): string {
  return `${metadata.project ?? ""} ${metadata.name}`;
}

function keyOf(place: string): { readonly project: string; readonly name: string } {
  const space = place.indexOf(" ");
  return { project: place.slice(0, space), name: place.slice(space + 1) };
}

/** @param volume the one of the same name, which is its own only where it says so */
function sharesOf(instance: InstanceResource | undefined, volume: VolumeResource | undefined): readonly Share[] {
  if (instance?.assignment === undefined) return [];
  const { assignment, metadata, spec } = instance;
  const own = volume?.spec.instance === metadata.name ? volume : undefined;
  const diskMiB = own?.spec.sizeMiB ?? 0;
  const copies = own?.assignment?.copies ?? [];
  const { vcpus, memoryMiB } = spec;
  if (assignment.movingTo === undefined && copies.length === 0 && spec.devices === undefined)
    return [{ nodeId: assignment.nodeId, vcpus, memoryMiB, diskMiB }];
  const runsOn = new Set([
    assignment.nodeId,
    ...(assignment.movingTo === undefined ? [] : [assignment.movingTo.nodeId]),
    // A move that is not proven yet may take it back there.
    ...copies.filter(({ purpose }) => purpose === "hold").map(({ nodeId }) => nodeId),
  ]);
  const liesOn = new Set([...runsOn, ...copies.map(({ nodeId }) => nodeId)]);
  const held = spec.devices === undefined ? undefined : devicesHeld(assignment);
  return [...new Set([...liesOn, ...(held?.keys() ?? [])])].map((nodeId) => {
    const devices = held?.get(nodeId);
    return {
      nodeId,
      vcpus: runsOn.has(nodeId) ? vcpus : 0,
      memoryMiB: runsOn.has(nodeId) ? memoryMiB : 0,
      diskMiB: liesOn.has(nodeId) ? diskMiB : 0,
      ...(devices === undefined ? {} : { devices }),
    };
  });
}

/** Addresses by node: where it is, where a move takes it and whence it may come back, and where its guest may be left. */
function devicesHeld(assignment: InstanceAssignment): ReadonlyMap<string, ReadonlySet<string>> {
  const held = new Map<string, Set<string>>();
  const { movingTo, leaving, former = [] } = assignment;
  for (const place of [assignment, movingTo, leaving, ...former]) {
    if (place?.devices === undefined || place.devices.length === 0) continue;
    const known = held.get(place.nodeId) ?? new Set();
    held.set(place.nodeId, known);
    for (const address of place.devices.flatMap(addressesOf)) known.add(address);
  }
  return held;
}

function add(sums: Map<string, TakenOnNode>, share: Share, sign: 1 | -1): void {
  const { nodeId, vcpus, memoryMiB, diskMiB, devices } = share;
  const before = sums.get(nodeId) ?? nothing;
  const after = sum(before, { vcpus: sign * vcpus, memoryMiB: sign * memoryMiB, diskMiB: sign * diskMiB });
  if (devices !== undefined) hold(after, devices, sign);
  sums.set(nodeId, after);
}

function hold(taken: TakenOnNode, addresses: Iterable<string>, by: number): void {
  const devices = new Map(taken.devices);
  for (const address of addresses) {
    const holders = (devices.get(address) ?? 0) + by;
    if (holders === 0) devices.delete(address);
    else devices.set(address, holders);
  }
  if (devices.size === 0) delete taken.devices;
  else taken.devices = devices;
}

function sum(one: Readonly<TakenOnNode>, other: Readonly<TakenOnNode>): TakenOnNode {
  const total: TakenOnNode = {
    vcpus: one.vcpus + other.vcpus,
    memoryMiB: one.memoryMiB + other.memoryMiB,
    diskMiB: one.diskMiB + other.diskMiB,
  };
  if (one.devices !== undefined) total.devices = one.devices;
  if (other.devices !== undefined) for (const [address, holders] of other.devices) hold(total, [address], holders);
  return total;
}
