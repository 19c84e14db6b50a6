import { Type, type Static } from "typebox";
import { Id, Name, optional, strict } from "../schema.ts";
import { Condition } from "../metadata.ts";
import { defineKind } from "../kind.ts";

/** An address of a network held for one instance; it moves with the instance and is freed with it. */
export const AddressLease = strict({
  address: Type.String({ description: "IPv4, without a prefix" }),
  instance: Name,
  instanceId: Id,
});
export type AddressLease = Static<typeof AddressLease>;

export const Network = defineKind({
  kind: "Network",
  plural: "networks",
  prefix: "net",
  scope: "project",
  spec: strict({
    /** The network's addresses, IPv4, /16 to /29; its first is the gateway on every node. */
    cidr: Type.String({ pattern: "^\\d{1,3}(\\.\\d{1,3}){3}/(1[6-9]|2[0-9])$" }),
    /** Whether guests may reach what is outside the network, through their node's address. */
    egress: optional(Type.Boolean()),
  }),
  status: strict({
    /** The segment's number on the wire (VXLAN). Server-made. */
    vni: optional(Type.Integer({ minimum: 1, maximum: 16_777_215 })),
    leases: Type.Array(AddressLease),
    conditions: Type.Array(Condition),
  }),
});
