import type { Capacity, InstanceResource, VolumeResource } from "@skerry/model";
import type { ChangeEvent, Tracker, Store, View } from "@skerry/store";
import { rootVolumeOf } from "./reap.ts";

/** What of one instance, its disk included, counts against one node. */
interface Share extends Capacity {
  readonly nodeId: string;
}

/** What is taken on a node. */
export type UsedOn = (nodeId: string) => Readonly<Capacity>;

const nothing: Readonly<Capacity> = { vcpus: 0, memoryMiB: 0, diskMiB: 0 };

/**
 * What instances take on each node: where they are assigned, where a running move will take them, and wherever a copy of
 * their disk is. Kept up with the newest state; a transaction that lets an instance take more says so (`touch`), so that it counts
 * its own changes too. Asking costs what the transaction has touched, never the whole fleet.
 */
export class Allocation implements Tracker {
  readonly #shares = new Map<string, readonly Share[]>();
  readonly #used = new Map<string, Capacity>();
  /** Instances that a transaction has changed, perhaps in vain. */
  readonly #touched = new Set<string>();
  #newest: View;
  readonly #stop: () => void;

  constructor(store: Store) {
    this.#newest = store;
    this.#stop = store.track(this);
  }

  close(): void {
    this.#stop();
  }

  reset(newest: View): void {
    this.#newest = newest;
    this.#shares.clear();
    this.#used.clear();
    this.#touched.clear();
    for (const instance of newest.scan("Instance")) this.#replace(instance.metadata.id, sharesOf(newest, instance));
  }

  applied(events: readonly ChangeEvent[], newest: View): void {
    for (const event of events) {
      if (event.kind === "Instance") this.#refresh(event.id);
      else if (event.kind === "Volume") {
        const { instance } = (event.object as VolumeResource).spec;
        const owner =
          instance === undefined ? undefined : newest.get("Instance", { project: event.project, name: instance });
        if (owner !== undefined) this.#refresh(owner.metadata.id);
      }
    }
  }

  /** To be called in each transaction that lets an instance or its disk take more, or elsewhere. */
  touch(instanceId: string): void {
    this.#touched.add(instanceId);
  }

  /** What is taken on each node as this transaction, or view, has it. */
  in(view: View): UsedOn {
    const corrections = new Map<string, Capacity>();
    for (const id of this.#touched) {
      const instance = view.getById("Instance", id);
      const volume = instance === undefined ? undefined : rootVolumeOf(view, instance);
      const isSettled =
        sameVersion(instance, this.#newest.getById("Instance", id)) &&
        (volume === undefined || sameVersion(volume, this.#newest.getById("Volume", volume.metadata.id)));
      if (isSettled) {
        this.#touched.delete(id);
        continue;
      }
      for (const share of this.#shares.get(id) ?? []) add(corrections, share, -1);
      for (const share of instance === undefined ? [] : sharesOf(view, instance)) add(corrections, share, 1);
    }
    return (nodeId) => sum(this.#used.get(nodeId) ?? nothing, corrections.get(nodeId) ?? nothing);
  }

  #refresh(id: string): void {
    const instance = this.#newest.getById("Instance", id);
    this.#replace(id, instance === undefined ? [] : sharesOf(this.#newest, instance));
  }

  #replace(id: string, shares: readonly Share[]): void {
    for (const share of this.#shares.get(id) ?? []) add(this.#used, share, -1);
    for (const share of shares) add(this.#used, share, 1);
    if (shares.length === 0) this.#shares.delete(id);
    else this.#shares.set(id, shares);
  }
}

function sameVersion(
  one: InstanceResource | VolumeResource | undefined,
  other: InstanceResource | VolumeResource | undefined,
): boolean {
  return one?.metadata.revision === other?.metadata.revision;
}

function sharesOf(view: View, instance: InstanceResource): readonly Share[] {
  const { assignment, spec } = instance;
  if (assignment === undefined) return [];
  const runsOn = new Set([
    assignment.nodeId,
    ...(assignment.movingTo === undefined ? [] : [assignment.movingTo.nodeId]),
  ]);
  const volume = rootVolumeOf(view, instance);
  const copies = volume?.assignment?.copies ?? [];
  const liesOn = new Set([...runsOn, ...copies.map(({ nodeId }) => nodeId)]);
  const diskMiB = volume?.spec.sizeMiB ?? 0;
  return [...liesOn].map((nodeId) => ({
    nodeId,
    vcpus: runsOn.has(nodeId) ? spec.vcpus : 0,
    memoryMiB: runsOn.has(nodeId) ? spec.memoryMiB : 0,
    diskMiB,
  }));
}

function add(sums: Map<string, Capacity>, share: Share, sign: 1 | -1): void {
  const { nodeId, vcpus, memoryMiB, diskMiB } = share;
  const before = sums.get(nodeId) ?? nothing;
  sums.set(nodeId, sum(before, { vcpus: sign * vcpus, memoryMiB: sign * memoryMiB, diskMiB: sign * diskMiB }));
}

function sum(one: Readonly<Capacity>, other: Readonly<Capacity>): Capacity {
  return {
    vcpus: one.vcpus + other.vcpus,
    memoryMiB: one.memoryMiB + other.memoryMiB,
    diskMiB: one.diskMiB + other.diskMiB,
  };
}
