import { readdir, readFile, readlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { mostNodeDevices, pciAddressPattern, type NodeDevice } from "@skerry/model";
import { isMissing } from "./file-bytes.ts";

/** Drivers that keep a device for guests. */
const guestDriver = "vfio-pci";
const keepers: readonly string[] = [guestDriver, "pci-stub"];
const baseClass = { bridge: 0x06, display: 0x03 } as const;
const address = new RegExp(pciAddressPattern, "u");

/** One function of a device, as the kernel tells it. */
interface PciFunction {
  readonly address: string;
  readonly model: string;
  readonly baseClass: number;
  readonly iommuGroup: number | undefined;
  readonly driver: string | undefined;
  readonly numaCell: number | undefined;
}

/**
 * The devices that this host may give to guests: GPUs that its own system has not taken, and whatever was bound to vfio-pci. A device
 * that shares its IOMMU group with another one, bridges left aside, can't be had alone, and is none of them.
 * @param sysfs where the kernel's view is mounted: /sys
 */
export async function readPciDevices(sysfs: string): Promise<readonly NodeDevice[]> {
  const bus = join(sysfs, "bus", "pci");
  const names = (await listed(join(bus, "devices"))).filter((name) => address.test(name)).sort();
  const functions = await Promise.all(names.map((name) => readFunction(join(bus, "devices", name), name)));
  // Without the module nothing could be bound to it.
  const mayBind = (await listed(join(bus, "drivers"))).includes(guestDriver);
  return groupsOf(functions.filter((one) => one !== undefined))
    .flatMap(([group, members]) => deviceOf(group, members, mayBind) ?? [])
    .slice(0, mostNodeDevices);
}

/** Undefined where the group is not all one device, or the host itself uses some of it. */
function deviceOf(iommuGroup: number, group: readonly PciFunction[], mayBind: boolean): NodeDevice | undefined {
  const functions = group.filter((one) => one.baseClass !== baseClass.bridge);
  const [first] = functions;
  if (first === undefined || functions.some((one) => slotOf(one) !== slotOf(first))) return undefined;
  const isKept = functions.every(({ driver }) => driver === guestDriver);
  const isFree = functions.every(({ driver }) => driver === undefined || keepers.includes(driver));
  const display = functions.find((one) => one.baseClass === baseClass.display);
  // Any function may stand without a driver; only a GPU is offered for that alone.
  if (!isKept && !(display !== undefined && isFree && mayBind)) return undefined;
  const main = display ?? first;
  const others = functions.filter((one) => one !== main).map((one) => one.address);
  return {
    kind: display === undefined ? "pci" : "gpu",
    ...{ model: main.model, address: main.address, iommuGroup },
    ...(others.length === 0 ? {} : { functions: others }),
    ...(main.numaCell === undefined ? {} : { numaCell: main.numaCell }),
  };
}

function groupsOf(functions: readonly PciFunction[]): readonly (readonly [number, readonly PciFunction[]])[] {
  const groups = new Map<number, PciFunction[]>();
  for (const one of functions) {
    // Where there is no IOMMU nothing keeps a device out of the host's memory.
    if (one.iommuGroup === undefined) continue;
    const members = groups.get(one.iommuGroup);
    if (members === undefined) groups.set(one.iommuGroup, [one]);
    else members.push(one);
  }
  return [...groups].sort(([, [one]], [, [other]]) => ((one?.address ?? "") < (other?.address ?? "") ? -1 : 1));
}

function slotOf({ address: at }: PciFunction): string {
  return at.slice(0, at.lastIndexOf("."));
}

/** Undefined where it went meanwhile. */
async function readFunction(folder: string, name: string): Promise<PciFunction | undefined> {
  try {
    const [kind, vendor, device] = await Promise.all(
      ["class", "vendor", "device"].map((file) => hexadecimal(folder, file)),
    );
    if (kind === undefined || vendor === undefined || device === undefined) return undefined;
    const [driver, group, cell] = await Promise.all([
      linked(join(folder, "driver")),
      linked(join(folder, "iommu_group")),
      readFile(join(folder, "numa_node"), "utf8").catch(absent),
    ]);
    const numaCell = cell === undefined ? -1 : Number(cell.trim());
    return {
      address: name,
      model: `${vendor.padStart(4, "0")}:${device.padStart(4, "0")}`,
      baseClass: Number.parseInt(kind.padStart(6, "0").slice(0, 2), 16),
      iommuGroup: group !== undefined && /^[0-9]{1,9}$/.test(group) ? Number(group) : undefined,
      driver,
      numaCell: Number.isSafeInteger(numaCell) && numaCell >= 0 ? numaCell : undefined,
    };
  } catch (error) {
    return absent(error);
  }
}

/** The digits of `0x10de`; undefined for anything else. */
async function hexadecimal(folder: string, file: string): Promise<string | undefined> {
  return /^0x([0-9a-f]{1,6})$/.exec((await readFile(join(folder, file), "utf8")).trim().toLowerCase())?.[1];
}

async function linked(path: string): Promise<string | undefined> {
  const target = await readlink(path).catch(absent);
  return target === undefined ? undefined : basename(target);
}

async function listed(folder: string): Promise<readonly string[]> {
  return (await readdir(folder).catch(absent)) ?? [];
}

function absent(error: unknown): undefined {
  if (isMissing(error)) return undefined;
  throw error;
}
