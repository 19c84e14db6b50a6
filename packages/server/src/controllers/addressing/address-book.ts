import {
  SkerryError,
  type InstanceResource,
  type KindName,
  type NetworkResource,
  type ResourceOf,
} from "@skerry/model";
import type { ChangeEvent, Tracker, Store, Transaction, View } from "@skerry/store";
import { networkKey } from "../fleet-view.ts";
import { formatAddress, parseAddress } from "./ipv4.ts";
import { macOf, rangeOf } from "./network-address.ts";

type Addresses = InstanceResource["status"]["addresses"];

/** A network's addresses that instances hold. */
interface Pool {
  readonly taken: Set<number>;
  /** Every address of the range below it is taken. */
  floor: number;
}

/**
 * Leases addresses. What an instance holds is in its own status, and freed with it; this only finds what is free, in the newest
 * state, at a cost that does not grow with the network.
 */
export class AddressBook implements Tracker {
  /** By network key. */
  readonly #pools = new Map<string, Pool>();
  /** By network key: every free address of the range below it was leased by this transaction, the last that has leased any. */
  readonly #floors = new Map<string, number>();
  #leasing: Transaction["written"] | undefined;
  readonly #stop: () => void;

  constructor(store: Store) {
    this.#stop = store.track(this);
  }

  close(): void {
    this.#stop();
  }

  reset(newest: View): void {
    this.#pools.clear();
    // Neighbours are of one network mostly.
    let [project, network, pool]: [string, string, Pool | undefined] = ["", "", undefined];
    newest.plains("Instance", (instance) => {
      if (instance.address === 0) return;
      if (pool === undefined || instance.project !== project || instance.network !== network) {
        [project, network] = [instance.project, instance.network];
        pool = this.#poolOf(networkKey(project, network));
      }
      pool.taken.add(instance.address);
    });
    for (const instance of newest.notables("Instance")) this.#hold(instance);
  }

  applied(events: readonly ChangeEvent[]): void {
    for (const { kind, type, object } of events) {
      if (kind !== "Instance") continue;
      if (type === "deleted") this.#free(object as InstanceResource);
      else this.#hold(object as InstanceResource);
    }
  }

  /**
   * Chooses the lowest free address on each of the instance's networks; they are its own once it is put with them.
   * @throws SkerryError address-exhausted
   */
  lease(tx: Transaction, instance: InstanceResource): Addresses {
    const { id, project } = instance.metadata;
    if (this.#leasing !== tx.written) this.#floors.clear();
    this.#leasing = tx.written;
    const addresses: Addresses = [];
    for (const networkName of instance.spec.networks ?? []) {
      const network = tx.get("Network", { project, name: networkName });
      if (network === undefined) continue;
      const key = networkKey(project, networkName);
      const address = this.#lowestFree(key, network, this.#floors.get(key));
      this.#floors.set(key, address + 1);
      addresses.push({ network: networkName, address: formatAddress(address), mac: macOf(id, network.metadata.id) });
    }
    return addresses;
  }

  /** A network with how many addresses are leased now, for replies; every other resource as it is. */
  counted<R extends ResourceOf<KindName>>(resource: R): R {
    if (resource.kind !== "Network") return resource;
    const leased = this.#pools.get(networkKey(resource.metadata.project, resource.metadata.name))?.taken.size ?? 0;
    return { ...resource, status: { ...resource.status, leased } };
  }

  #lowestFree(key: string, network: NetworkResource, floor = 0): number {
    const { first, last } = rangeOf(network.spec.cidr);
    const pool = this.#pools.get(key);
    let address = Math.max(first, pool?.floor ?? first);
    while (pool?.taken.has(address) === true) address++;
    if (pool !== undefined) pool.floor = address;
    address = Math.max(address, floor);
    while (pool?.taken.has(address) === true) address++;
    if (address <= last) return address;
    throw new SkerryError(
      "address-exhausted",
      `All ${last - first + 1} addresses of the network ${network.metadata.name} (${network.spec.cidr}) are leased.`,
      { remedy: "Delete an instance that has one, or use another network." },
    );
  }

  #hold({ metadata, status }: InstanceResource): void {
    for (const { network, address } of status.addresses)
      this.#poolOf(networkKey(metadata.project, network)).taken.add(parseAddress(address) ?? 0);
  }

  #poolOf(key: string): Pool {
    const known = this.#pools.get(key);
    if (known !== undefined) return known;
    const made = { taken: new Set<number>(), floor: 0 };
    this.#pools.set(key, made);
    return made;
  }

  #free({ metadata, status }: InstanceResource): void {
    for (const { network, address } of status.addresses) {
      const key = networkKey(metadata.project, network);
      const pool = this.#pools.get(key);
      const number = parseAddress(address) ?? 0;
      pool?.taken.delete(number);
      if (pool === undefined) continue;
      if (pool.taken.size === 0) this.#pools.delete(key);
      else pool.floor = Math.min(pool.floor, number);
    }
  }
}

/** The instances that hold an address of a network: costs what the project has, for what is rare. */
export function holdersOf(view: View, { metadata }: NetworkResource): readonly InstanceResource[] {
  return view
    .list("Instance", metadata.project)
    .filter(({ status }) => status.addresses.some(({ network }) => network === metadata.name));
}
