import { Type } from "typebox";
import { optional, strict } from "../schema.ts";
import { Condition } from "../metadata.ts";
import { defineKind } from "../kind.ts";

export const Network = defineKind({
  kind: "Network",
  plural: "networks",
  prefix: "net",
  scope: "project",
  spec: strict({
    /** The network's addresses, IPv4, /16 to /29; its first is the gateway on every node. */
    cidr: Type.String({
      pattern: "^\\d{1,3}(\\.\\d{1,3}){3}/(1[6-9]|2[0-9])$",
      description: "an IPv4 network from /16 to /29, such as 10.20.0.0/24",
    }),
    /** Whether guests may reach what is outside the network, through their node's address. */
    egress: optional(Type.Boolean()),
  }),
  status: strict({
    /** The segment's number on the wire (VXLAN). Server-made. */
    vni: optional(Type.Integer({ minimum: 1, maximum: 16_777_215 })),
    /** How many of its addresses instances hold, at the moment of a reply; which ones, each instance says. */
    leased: optional(Type.Integer({ minimum: 0 })),
    conditions: Type.Array(Condition),
  }),
});
