import { Type, type Static } from "typebox";
import { Id, Name, Schedulable, Timestamp, oneOf, optional, strict } from "../schema.ts";
import { Condition } from "../metadata.ts";
import { Taint } from "../taint.ts";
import { defineKind } from "../kind.ts";
import { NodeDevice, mostNodeDevices } from "./device.ts";

export const computeDrivers = ["libvirt", "simulated"] as const;
export const accelerators = ["kvm", "tcg", "simulated"] as const;

/** What a node can hold; cores and memory are what it offers to instances. */
export const Capacity = strict({
  vcpus: Type.Integer({ minimum: 0 }),
  memoryMiB: Type.Integer({ minimum: 0 }),
  diskMiB: Type.Integer({ minimum: 0 }),
});
export type Capacity = Static<typeof Capacity>;

/** What a node says of itself is kept and shown to many: short. */
const FactText = Type.String({ maxLength: 253 });

/** What an agent knows of its host; it alone writes it. */
export const NodeFacts = strict({
  hostname: FactText,
  operatingSystem: FactText,
  kernel: FactText,
  architecture: oneOf(["x86_64", "aarch64"] as const),
  driver: oneOf(computeDrivers),
  accelerator: oneOf(accelerators),
  agentVersion: FactText,
  capacity: Capacity,
  /** What it may give to instances, each to one at a time. */
  devices: optional(Type.Array(NodeDevice, { maxItems: mostNodeDevices })),
  /** host:port of the data plane (mutual TLS), reached by other nodes. */
  dataEndpoint: optional(FactText),
  /** host:port of the encrypted overlay's UDP endpoint, and its public key (base64). */
  overlayEndpoint: optional(FactText),
  overlayPublicKey: optional(FactText),
  /** Versions of what the drivers stand on, for example `{ "libvirt": "9.0.0", "qemu": "7.2.0" }`. */
  versions: Type.Record(Type.String(), FactText, { maxProperties: 32 }),
  /** The agent's own footprint. */
  agentResidentMiB: optional(Type.Number()),
});
export type NodeFacts = Static<typeof NodeFacts>;

export const Node = defineKind({
  kind: "Node",
  plural: "nodes",
  prefix: "nod",
  scope: "zone",
  spec: strict({
    site: Name,
    /** Where provisioning reaches the host: an IP address or host name; absent for an agent that joins by itself. */
    address: optional(
      Type.String({
        maxLength: 253,
        pattern: "^[A-Za-z0-9:]([-A-Za-z0-9.:]*[A-Za-z0-9])?$",
        description: "an IP address or a host's name",
      }),
    ),
    sshPort: optional(Type.Integer({ minimum: 1, maximum: 65_535 })),
    /** Pinned SSH host key, as `ssh-keygen -l` prints it: `SHA256:…`. Provisioning refuses any other key. */
    hostKeyFingerprint: optional(
      Type.String({
        pattern: "^SHA256:[A-Za-z0-9+/]{43}$",
        description: "SHA256: and 43 characters, as ssh-keygen -l prints it",
      }),
    ),
    /** Offer less (or, in a laboratory, other) than what the host shows. */
    capacityOverride: optional(Capacity),
    driver: optional(oneOf(computeDrivers)),
    /** Each keeps out what is new and does not tolerate it; what is there stays. */
    taints: optional(Type.Array(Taint, { maxItems: 16, uniqueItems: true })),
    schedulable: Schedulable,
  }),
  status: strict({
    /** The agent's Ed25519 public key (SPKI DER, base64): the node's identity. */
    publicKey: optional(Type.String()),
    /** The node's place in the overlay: its address is derived from it. Server-made. */
    overlayIndex: optional(Type.Integer({ minimum: 1 })),
    facts: optional(NodeFacts),
    /** The networks that it carries, as it last reported. */
    networks: optional(Type.Array(Id)),
    /** When the agent last reported, and whether its link is up now. */
    seenAt: optional(Timestamp),
    connected: Type.Boolean(),
    conditions: Type.Array(Condition),
  }),
});
