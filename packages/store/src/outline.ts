import type { InstanceResource, VolumeResource } from "@skerry/model";
import type { StoredObject } from "./object.ts";

/** Kinds of which most objects can be visited without making them. */
export type OutlinedKind = "Instance" | "Volume";

/** What is kept of a plain object in columns, for whoever visits all; one object shows each in turn. */
interface PlainRow {
  readonly project: string;
  /** The node that it is assigned to; "" for none. */
  readonly nodeId: string;
}

export interface PlainInstance extends PlainRow {
  readonly vcpus: number;
  readonly memoryMiB: number;
  /** Its only network; "" for none. */
  readonly network: string;
  /** Its only address there, IPv4; 0 for none. */
  readonly address: number;
  /** The volume of its name, where that is plain; `sizeMiB` is 0 where there is none. Undefined where it has to be looked at. */
  readonly rootVolume: { readonly sizeMiB: number } | undefined;
  /** To look it up by, which takes longer than the rest. */
  readonly key: { readonly project: string; readonly name: string };
}

export interface PlainVolume extends PlainRow {
  readonly sizeMiB: number;
}

export interface Plains {
  readonly Instance: PlainInstance;
  readonly Volume: PlainVolume;
}

/** What a table keeps of an object in columns, beside its body. */
export interface Facts {
  /** The node that it is assigned to and not gone from; "" for none. */
  readonly node: string;
  /** As JSON. */
  readonly labels: string;
  /** Whether the rest below, with the name, is all that sums and indexes go by. */
  readonly isPlain: boolean;
  /** An instance's vCPUs, or a volume's MiB; then an instance's MiB of memory. */
  readonly amount: number;
  readonly secondAmount: number;
  /** An instance's only network; "" for none. */
  readonly network: string;
  /** Its only address there, IPv4; 0 for none. */
  readonly address: number;
}

interface Assigned {
  readonly nodeId: string;
  readonly removal?: { readonly done: boolean };
}

const bare = { isPlain: false, amount: 0, secondAmount: 0, network: "", address: 0 } as const;

/** The same that `BodyReader` finds in the object's JSON. */
export function factsOf(object: StoredObject): Facts {
  const { assignment } = object as { readonly assignment?: Assigned };
  const node = assignment === undefined || assignment.removal?.done === true ? "" : assignment.nodeId;
  const common = { ...bare, node, labels: JSON.stringify(object.metadata.labels) };
  if (object.kind === "Instance") return { ...common, ...instanceFacts(object) };
  return object.kind === "Volume" ? { ...common, ...volumeFacts(object) } : common;
}

function instanceFacts({ spec, status, assignment }: InstanceResource): Partial<Facts> {
  const { movingTo, removal, lease, former = [] } = assignment ?? {};
  const networks = spec.networks ?? [];
  const [held] = status.addresses;
  const network = networks[0] ?? "";
  const address = held === undefined ? 0 : addressNumber(held.address);
  const isPlain =
    spec.placement?.affinity === undefined &&
    movingTo === undefined &&
    removal === undefined &&
    lease === undefined &&
    former.length === 0 &&
    (spec.devices ?? []).length === 0 &&
    networks.length <= 1 &&
    status.addresses.length <= 1 &&
    (held === undefined || (held.network === network && address !== 0));
  return isPlain ? { isPlain, amount: spec.vcpus, secondAmount: spec.memoryMiB, network, address } : {};
}

function volumeFacts({ metadata, spec, assignment }: VolumeResource): Partial<Facts> {
  const isPlain =
    assignment?.removal === undefined && (assignment?.copies ?? []).length === 0 && spec.instance === metadata.name;
  return isPlain ? { isPlain, amount: spec.sizeMiB } : {};
}

/** 0 for what is no IPv4 address in its usual form. */
function addressNumber(text: string): number {
  const parts = text.split(".");
  let number = 0;
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return 0;
    number = number * 256 + Number(part);
  }
  return parts.length === 4 ? number : 0;
}
