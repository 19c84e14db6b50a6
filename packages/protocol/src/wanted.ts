import { Type, type Static } from "typebox";
import { Digest, HealthCheck, Id, Name, PciAddress, oneOf, optional, strict } from "@skerry/model";

/*
 * What the server wants of one node, whole, level-triggered. Absence is never an order: what is not mentioned is left
 * alone; what must go is mentioned with `presence: "absent"` until the node reports it gone. A guest goes before the volume
 * that it has open. A raised epoch alone restarts nothing.
 * Only fields that the server made or validated; nothing here is used as a path or a flag by drivers.
 */

const Epoch = Type.Integer({ minimum: 1 });
export const presences = ["present", "absent"] as const;

/** Another node as this one must know it: for the overlay and for the data plane. */
export const WantedPeer = strict({
  nodeId: Id,
  /** Ed25519 public key, SPKI DER base64: what its data-plane certificate must hold. */
  publicKey: Type.String(),
  dataEndpoint: optional(Type.String()),
  overlayEndpoint: optional(Type.String()),
  overlayPublicKey: optional(Type.String()),
  overlayAddress: Type.String({ description: "IPv4 in the overlay" }),
});
export type WantedPeer = Static<typeof WantedPeer>;

export const WantedNetwork = strict({
  id: Id,
  presence: oneOf(presences),
  /** VXLAN network identifier. */
  vni: Type.Integer({ minimum: 1, maximum: 16_777_215 }),
  /** Network address and prefix length, for example 10.100.0.0/24. */
  cidr: Type.String(),
  gateway: Type.String(),
  egress: Type.Boolean(),
  /** Nodes that also carry this network. */
  peers: Type.Array(Id),
});
export type WantedNetwork = Static<typeof WantedNetwork>;

export const VolumeOrigin = Type.Union([
  strict({ kind: oneOf(["blank"] as const) }),
  strict({
    kind: oneOf(["image"] as const),
    digest: Digest,
    sizeBytes: Type.Integer(),
    format: oneOf(["qcow2", "raw"] as const),
  }),
  /** Pulled from another node's data plane, byte for byte, resumable, verified against the digest that the source computed. */
  strict({ kind: oneOf(["import"] as const), fromNode: Id, ticket: Type.String() }),
  /** The node has reported it ready before: where it is missing now, that is `failed` with an error, and nothing is made anew. */
  strict({ kind: oneOf(["existing"] as const) }),
]);
export type VolumeOrigin = Static<typeof VolumeOrigin>;

export const WantedVolume = strict({
  id: Id,
  presence: oneOf(presences),
  epoch: Epoch,
  sizeMiB: Type.Integer({ minimum: 1 }),
  origin: VolumeOrigin,
  /**
   * `write`: its instance may open it. `offer`: nobody writes; the node computes its digest and serves it to `offeredTo`.
   * `hold`: kept untouched, neither written nor served.
   */
  access: oneOf(["write", "offer", "hold"] as const),
  offeredTo: optional(strict({ nodeId: Id, ticket: Type.String() })),
});
export type WantedVolume = Static<typeof WantedVolume>;

export const WantedNic = strict({
  networkId: Id,
  mac: Type.String({ pattern: "^([0-9a-f]{2}:){5}[0-9a-f]{2}$" }),
  /** IPv4 with prefix length. */
  address: Type.String(),
  gateway: Type.String(),
});
export type WantedNic = Static<typeof WantedNic>;

export const WantedInstance = strict({
  id: Id,
  presence: oneOf(presences),
  epoch: Epoch,
  /** Of the spec this was made from; echoed in reports. */
  generation: Type.Integer({ minimum: 1 }),
  /** For the guest's host name and for people; never a path. */
  name: Name,
  project: Name,
  power: oneOf(["running", "stopped"] as const),
  /** How long a stop waits for the guest to shut down before it is killed; 0 kills at once, the agent's own grace where absent. */
  stopGraceMs: optional(Type.Integer({ minimum: 0 })),
  vcpus: Type.Integer({ minimum: 1 }),
  memoryMiB: Type.Integer({ minimum: 1 }),
  rootVolume: Id,
  nics: Type.Array(WantedNic),
  /** What it has of the node for itself, all functions of it; nobody else has. */
  devices: optional(Type.Array(PciAddress, { minItems: 1, maxItems: 512 })),
  /** Done once per number; the node journals the last one that it did. */
  rebootGeneration: Type.Integer({ minimum: 0 }),
  sshKeys: Type.Array(Type.String()),
  userData: optional(Type.String()),
  healthCheck: optional(HealthCheck),
  /** It runs only while the server has been heard from within so long; see `lease.ts`. Without it, it runs whatever happens. */
  lease: optional(strict({ seconds: Type.Integer({ minimum: 1 }) })),
});
export type WantedInstance = Static<typeof WantedInstance>;

export const WantedState = strict({
  /** Of the server's log when this was made; a node ignores an older one than it has. */
  revision: Type.Integer({ minimum: 0 }),
  node: strict({ id: Id, name: Name, overlayAddress: Type.String(), overlayPrefixLength: Type.Integer() }),
  peers: Type.Array(WantedPeer),
  networks: Type.Array(WantedNetwork),
  volumes: Type.Array(WantedVolume),
  instances: Type.Array(WantedInstance),
});
export type WantedState = Static<typeof WantedState>;
