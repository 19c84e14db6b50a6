import { Type, type Static } from "typebox";
import { oneOf, optional, strict } from "../schema.ts";

/** `gpu`: a display or 3D controller; `pci`: anything else that the host's operator has set aside for guests. */
export const deviceKinds = ["gpu", "pci"] as const;
export type DeviceKind = (typeof deviceKinds)[number];

export const pciAddressPattern = "^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]$";

/** Where a device is on its host: domain, bus, slot and function. Told by the node, never by who asks for one. */
export const PciAddress = Type.String({ pattern: pciAddressPattern });

export const DeviceModel = Type.String({
  pattern: "^[0-9a-f]{4}:[0-9a-f]{4}$",
  description: "vendor and device in hexadecimal digits, as lspci -nn shows them, such as 10de:20b0",
});

/** A device that an instance has for itself. */
export const HeldDevice = strict({
  kind: oneOf(deviceKinds),
  model: DeviceModel,
  address: PciAddress,
  /** Its other functions, such as a GPU's sound: they go with it. */
  functions: optional(Type.Array(PciAddress, { maxItems: 7 })),
});
export type HeldDevice = Static<typeof HeldDevice>;

/** A device that a node may give to one instance at a time. */
export const NodeDevice = strict({
  ...HeldDevice.properties,
  /** It has it for itself. */
  iommuGroup: Type.Integer({ minimum: 0 }),
  numaCell: optional(Type.Integer({ minimum: 0 })),
});
export type NodeDevice = Static<typeof NodeDevice>;

/** How many a node tells of. */
export const mostNodeDevices = 64;

/** So many devices of a kind, one where absent; of any model where that is absent. */
export const DeviceWish = strict({
  kind: oneOf(deviceKinds, "gpu: display or 3D controllers; pci: others that nodes set aside for guests"),
  count: optional(Type.Integer({ minimum: 1, maximum: mostNodeDevices, description: "1 where absent" })),
  model: optional(DeviceModel),
});
export type DeviceWish = Static<typeof DeviceWish>;

export const DeviceWishes = Type.Array(DeviceWish, {
  minItems: 1,
  maxItems: 8,
  description:
    "Devices of its node that it has for itself. Which ones is the server's choice; they stay its own while it is stopped, and a move takes others.",
});

/** How many of a kind are asked for in all. */
export function devicesOf(kind: DeviceKind, wishes: readonly DeviceWish[] | undefined): number {
  let sum = 0;
  if (wishes !== undefined) for (const wish of wishes) if (wish.kind === kind) sum += wish.count ?? 1;
  return sum;
}
