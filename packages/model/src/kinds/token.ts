import { Type } from "typebox";
import { Labels, Name, Timestamp, oneOf, optional, strict } from "../schema.ts";
import { SessionOrigin } from "./identity-provider.ts";
import { defineKind } from "../kind.ts";

/** Lets one agent join once, before it expires. The secret is shown once, at creation; its hash is kept. */
export const JoinToken = defineKind({
  kind: "JoinToken",
  plural: "join-tokens",
  prefix: "jtk",
  scope: "zone",
  spec: strict({
    site: Name,
    /** The node's name; the agent's host name where absent. */
    node: optional(Name),
    labels: optional(Labels),
    lifetimeSeconds: optional(Type.Integer({ minimum: 10, maximum: 86_400 })),
  }),
  status: strict({
    secretHash: optional(Type.String()),
    expiresAt: optional(Timestamp),
    usedAt: optional(Timestamp),
    usedBy: optional(Name),
  }),
});

/** Lets a person or program call the API. The secret is shown once, at creation; its hash is kept. */
export const ApiToken = defineKind({
  kind: "ApiToken",
  plural: "api-tokens",
  prefix: "atk",
  scope: "zone",
  spec: strict({
    /** What it may do; with an owner at most this of what the owner may, and all of it where absent. */
    role: optional(Name),
    /** Limits the token to one project; the whole zone where absent. */
    project: optional(Name),
    /** Whose it is: it may do what they may, as long as they may. A token without an owner stands for itself. */
    owner: optional(
      strict({
        kind: oneOf(["User", "ServiceAccount"] as const),
        name: Name,
        /** Of a service account. */
        project: optional(Name),
      }),
    ),
    lifetimeSeconds: optional(Type.Integer({ minimum: 60, maximum: 31_536_000 })),
    /** The most that it may ask for, beside what its owner may: to hold back a program. Five seconds of it at once. */
    requestsPerSecond: optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
    description: optional(Type.String({ maxLength: 200 })),
  }),
  status: strict({
    secretHash: optional(Type.String()),
    expiresAt: optional(Timestamp),
    /** Whose requests its own count with, of one that stands for itself in the whole zone: of whoever made it. */
    countsWith: optional(Type.String({ maxLength: 300 })),
    /** How its owner signed in, of a session: it is the server that makes one, and it ends by signing out. */
    session: optional(SessionOrigin),
  }),
});
