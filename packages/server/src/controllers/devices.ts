import type { DeviceWish, HeldDevice, NodeDevice } from "@skerry/model";
import type { Candidate, PlacementRequest } from "@skerry/placement";

/* Which devices of a node are whose. Placement counts them by name: each by its kind, and by its kind and model. */

/** A node as placement sees it, with what it may give for oneself. */
export interface Host extends Candidate {
  readonly devices?: readonly NodeDevice[];
  /** Those that nobody has. */
  readonly freeDevices?: readonly NodeDevice[];
}

type Counts = Readonly<Record<string, number>>;
type Held = ReadonlyMap<string, number>;

function nameOf({ kind, model }: Pick<DeviceWish, "kind" | "model">): string {
  return model === undefined ? kind : `${kind} ${model}`;
}

/** How many by name; one that is asked for by its model counts as its kind too. Undefined where nothing is asked. */
export function devicesAsked(wishes: readonly DeviceWish[] | undefined): Counts | undefined {
  if (wishes === undefined || wishes.length === 0) return undefined;
  const counts: Record<string, number> = {};
  for (const wish of wishes) {
    for (const name of new Set([wish.kind, nameOf(wish)])) counts[name] = (counts[name] ?? 0) + (wish.count ?? 1);
  }
  return counts;
}

/** All of a node's, and those that are free with so many holders by address. */
export function devicesOn(
  devices: readonly NodeDevice[],
  held: Held | undefined,
): Required<Pick<Host, "devices" | "freeDevices" | "spare">> {
  const freeDevices =
    held === undefined ? devices : devices.filter((one) => !addressesOf(one).some((at) => held.has(at)));
  return { devices, freeDevices, spare: { devices: counted(freeDevices, namesOf(devices)) } };
}

export function addressesOf({ address, functions = [] }: HeldDevice): string[] {
  return [address, ...functions];
}

/** Whether it has so many, whoever holds them. */
export function hasDevices({ devices: asked = {} }: PlacementRequest, { devices = [] }: Host): boolean {
  const there = counted(devices, Object.keys(asked));
  return Object.entries(asked).every(([name, count]) => (there[name] ?? 0) >= count);
}

/** Addresses of those that a node no longer tells of. */
export function missingDevices({ devices = [] }: Host, held: readonly HeldDevice[] = []): readonly string[] {
  const there = new Set(devices.flatMap(addressesOf));
  return held.flatMap(addressesOf).filter((address) => !there.has(address));
}

/**
 * Which ones an instance gets: all of one NUMA cell where one has them, the first ones by address.
 * @throws RangeError where there are too few, which placement has seen to
 */
export function pickDevices(free: readonly NodeDevice[], asked: Counts): HeldDevice[] {
  const ordered = free.toSorted((one, other) => (one.address < other.address ? -1 : 1));
  const cells = [...new Set(ordered.map(({ numaCell }) => numaCell))].filter((cell) => cell !== undefined);
  for (const cell of cells) {
    const picked = pickOf(
      ordered.filter(({ numaCell }) => numaCell === cell),
      asked,
    );
    if (picked !== undefined) return picked;
  }
  const picked = pickOf(ordered, asked);
  if (picked === undefined) throw new RangeError("more devices are asked for than are free");
  return picked;
}

function pickOf(free: readonly NodeDevice[], asked: Counts): HeldDevice[] | undefined {
  const picked = new Set<NodeDevice>();
  // Those of a model first: what is asked for by its kind alone takes any.
  for (const [name, count] of Object.entries(asked).toSorted(([one], [other]) => other.length - one.length)) {
    const isSuch = (device: NodeDevice): boolean => device.kind === name || nameOf(device) === name;
    let missing = count - [...picked].filter(isSuch).length;
    for (const device of free) {
      if (missing <= 0) break;
      if (picked.has(device) || !isSuch(device)) continue;
      picked.add(device);
      missing--;
    }
    if (missing > 0) return undefined;
  }
  return [...picked].map(({ kind, model, address, functions }) => ({
    ...{ kind, model, address },
    ...(functions === undefined ? {} : { functions }),
  }));
}

/** All by which devices may be asked for. */
function namesOf(devices: readonly NodeDevice[]): readonly string[] {
  return [...new Set(devices.flatMap((one) => [one.kind, nameOf(one)]))];
}

function counted(devices: readonly NodeDevice[], names: readonly string[]): Counts {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = devices.filter((one) => one.kind === name || nameOf(one) === name).length;
  return counts;
}
