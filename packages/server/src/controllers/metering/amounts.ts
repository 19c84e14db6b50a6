import { devicesOf, type InstanceResource, type MeteredSite, type VolumeResource } from "@skerry/model";

/** What an instance or volume has at any moment. */
export interface Rates {
  readonly vcpus: number;
  readonly memoryMiB: number;
  readonly storageMiB: number;
  readonly addresses: number;
  readonly gpus: number;
}

export function ratesOf(object: InstanceResource | VolumeResource): Rates {
  if (object.kind === "Volume")
    return { vcpus: 0, memoryMiB: 0, storageMiB: object.spec.sizeMiB, addresses: 0, gpus: 0 };
  const { vcpus, memoryMiB, devices } = object.spec;
  const gpus = devicesOf("gpu", devices);
  return { vcpus, memoryMiB, storageMiB: 0, addresses: object.status.addresses.length, gpus };
}

/** Since when it has had something: what it has now, where nothing else is noted. */
export function sinceMsOf({ metadata }: InstanceResource | VolumeResource): number {
  return Date.parse(metadata.createdAt);
}

/** Unit-milliseconds: whole, exact, of any size. */
export interface Amounts {
  vcpuMs: bigint;
  memoryMiBMs: bigint;
  storageMiBMs: bigint;
  addressMs: bigint;
  gpuMs: bigint;
}

/** By site. */
export class SiteAmounts {
  readonly sites = new Map<string, Amounts>();

  add(site: string, rates: Rates, ms: number): void {
    const { vcpus, memoryMiB, storageMiB, addresses, gpus } = rates;
    const span = BigInt(ms);
    const amounts = this.#of(site);
    amounts.vcpuMs += BigInt(vcpus) * span;
    amounts.memoryMiBMs += BigInt(memoryMiB) * span;
    amounts.storageMiBMs += BigInt(storageMiB) * span;
    amounts.addressMs += BigInt(addresses) * span;
    if (gpus !== 0) amounts.gpuMs += BigInt(gpus) * span;
  }

  addMetered(metered: MeteredSite, sign: 1 | -1 = 1): void {
    const { site, vcpuMs, memoryMiBMs, storageMiBMs, addressMs, gpuMs = "0" } = metered;
    const factor = BigInt(sign);
    this.addAmounts(site, {
      vcpuMs: BigInt(vcpuMs) * factor,
      memoryMiBMs: BigInt(memoryMiBMs) * factor,
      storageMiBMs: BigInt(storageMiBMs) * factor,
      addressMs: BigInt(addressMs) * factor,
      gpuMs: BigInt(gpuMs) * factor,
    });
  }

  addAmounts(site: string, { vcpuMs, memoryMiBMs, storageMiBMs, addressMs, gpuMs }: Readonly<Amounts>): void {
    const amounts = this.#of(site);
    amounts.vcpuMs += vcpuMs;
    amounts.memoryMiBMs += memoryMiBMs;
    amounts.storageMiBMs += storageMiBMs;
    amounts.addressMs += addressMs;
    amounts.gpuMs += gpuMs;
  }

  /** In order of the sites, without those that come to nothing. */
  entries(): readonly (readonly [site: string, amounts: Readonly<Amounts>])[] {
    return [...this.sites]
      .filter(([, { vcpuMs, memoryMiBMs, storageMiBMs, addressMs, gpuMs }]) =>
        [vcpuMs, memoryMiBMs, storageMiBMs, addressMs, gpuMs].some((amount) => amount !== 0n),
      )
      .toSorted(([one], [other]) => (one < other ? -1 : 1));
  }

  #of(site: string): Amounts {
    const known = this.sites.get(site);
    if (known !== undefined) return known;
    const made = { vcpuMs: 0n, memoryMiBMs: 0n, storageMiBMs: 0n, addressMs: 0n, gpuMs: 0n };
    this.sites.set(site, made);
    return made;
  }
}
