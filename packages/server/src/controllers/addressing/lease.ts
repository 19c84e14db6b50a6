import type { InstanceResource } from "@skerry/model";
import type { Transaction } from "@skerry/store";
import { macOf, nextFreeAddress } from "./network-address.ts";

type Addresses = InstanceResource["status"]["addresses"];

/**
 * Leases an address on each of the instance's networks, in the caller's transaction. They stay with the instance wherever it moves.
 * @throws SkerryError address-exhausted
 */
export function leaseAddresses(tx: Transaction, instance: InstanceResource): Addresses {
  const { name, id, project } = instance.metadata;
  const addresses: Addresses = [];
  for (const networkName of instance.spec.networks ?? []) {
    const network = tx.get("Network", { project, name: networkName });
    if (network === undefined) continue;
    const address = nextFreeAddress(network);
    const leases = [...network.status.leases, { address, instance: name, instanceId: id }];
    tx.put({ ...network, status: { ...network.status, leases } });
    addresses.push({ network: networkName, address, mac: macOf(id, network.metadata.id) });
  }
  return addresses;
}

/** Gives back all that the instance leased. */
export function freeAddresses(tx: Transaction, instance: InstanceResource): void {
  const { id, project } = instance.metadata;
  for (const name of instance.spec.networks ?? []) {
    const network = tx.get("Network", { project, name });
    if (network === undefined) continue;
    const leases = network.status.leases.filter((lease) => lease.instanceId !== id);
    tx.put({ ...network, status: { ...network.status, leases } });
  }
}
