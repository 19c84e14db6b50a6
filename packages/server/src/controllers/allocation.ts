import type { Capacity, InstanceResource, VolumeResource } from "@skerry/model";
import type { ChangeEvent, Store, View } from "@skerry/store";
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
 * their disk is. Kept up with durable changes; whoever lets an instance take more says so (`touch`), so that transactions count
 * what is still in flight too. Asking costs what is in flight, never the whole fleet.
 */
export class Allocation {
  readonly #store: Store;
  readonly #shares = new Map<string, readonly Share[]>();
  readonly #used = new Map<string, Capacity>();
  /** Instances that transactions of late have changed, perhaps in vain. */
  readonly #touched = new Set<string>();
  readonly #unsubscribe: () => void;

  constructor(store: Store) {
    this.#store = store;
    for (const instance of store.list("Instance")) this.#replace(instance.metadata.id, sharesOf(store, instance));
    this.#unsubscribe = store.subscribe((events) => this.#follow(events));
  }

  close(): void {
    this.#unsubscribe();
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
      const durable = this.#store.getById("Instance", id);
      const volume = instance === undefined ? undefined : rootVolumeOf(view, instance);
      const isSettled =
        instance === durable && (volume === undefined || this.#store.getById("Volume", volume.metadata.id) === volume);
      if (isSettled) {
        this.#touched.delete(id);
        continue;
      }
      for (const share of this.#shares.get(id) ?? []) add(corrections, share, -1);
      for (const share of instance === undefined ? [] : sharesOf(view, instance)) add(corrections, share, 1);
    }
    return (nodeId) => sum(this.#used.get(nodeId) ?? nothing, corrections.get(nodeId) ?? nothing);
  }

  #follow(events: readonly ChangeEvent[]): void {
    for (const event of events) {
      if (event.kind === "Instance") this.#refresh(event.id);
      else if (event.kind === "Volume") {
        const { instance } = (event.object as VolumeResource).spec;
        const owner =
          instance === undefined ? undefined : this.#store.get("Instance", { project: event.project, name: instance });
        if (owner !== undefined) this.#refresh(owner.metadata.id);
      }
    }
  }

  #refresh(id: string): void {
    const instance = this.#store.getById("Instance", id);
    this.#replace(id, instance === undefined ? [] : sharesOf(this.#store, instance));
  }

  #replace(id: string, shares: readonly Share[]): void {
    for (const share of this.#shares.get(id) ?? []) add(this.#used, share, -1);
    for (const share of shares) add(this.#used, share, 1);
    if (shares.length === 0) this.#shares.delete(id);
    else this.#shares.set(id, shares);
  }
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
