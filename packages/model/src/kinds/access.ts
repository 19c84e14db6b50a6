import { Type } from "typebox";
import { Name, Timestamp, oneOf, optional, strict } from "../schema.ts";
import { defineKind } from "../kind.ts";

/** Roles that every zone has; their policies are the server's and can't be changed. */
export const builtInRoles = ["viewer", "operator", "admin", "provider", "platform-admin"] as const;

/** How a person proves who they are here: hashed or sealed, never shown. */
const Credentials = strict({
  /** Argon2id, with its parameters beside it, so that they may rise. */
  password: optional(
    strict({
      hash: Type.String({ description: "base64url" }),
      salt: Type.String({ description: "base64url" }),
      memoryKiB: Type.Integer(),
      passes: Type.Integer(),
      setAt: Timestamp,
    }),
  ),
  /** RFC 6238. */
  totp: optional(
    strict({
      secret: Type.String({ description: "sealed base32" }),
      setAt: Timestamp,
      lastStep: Type.Integer({ description: "of the last code that was taken: none up to it is taken again" }),
    }),
  ),
  recoveryHashes: optional(Type.Array(Type.String({ description: "SHA-256, hex" }))),
  /** Lets them set all of these once, anew. */
  invitation: optional(strict({ hash: Type.String({ description: "SHA-256, hex" }), expiresAt: Timestamp })),
});

/** A person, known to the whole zone; what they may do is said by role bindings. */
export const User = defineKind({
  kind: "User",
  plural: "users",
  prefix: "usr",
  scope: "zone",
  spec: strict({
    displayName: optional(Type.String({ maxLength: 200 })),
    email: optional(Type.String({ maxLength: 254, pattern: "^[^@\\s]+@[^@\\s]+$", description: "an e-mail address" })),
    /** Nothing of theirs is let in any more, tokens included. */
    disabled: optional(Type.Boolean()),
  }),
  status: strict({
    credentials: optional(Credentials),
    /** Who they are at an identity provider: they sign in there. */
    identity: optional(strict({ identityProvider: Name, issuer: Type.String(), subject: Type.String() })),
    /** What of their credentials may be told: made for each reply, never stored. */
    signIn: optional(
      strict({
        passwordSetAt: optional(Timestamp),
        totpSetAt: optional(Timestamp),
        recoveryCodesLeft: optional(Type.Integer()),
        invitedUntil: optional(Timestamp),
      }),
    ),
  }),
});

/** Users who are given roles together. */
export const Group = defineKind({
  kind: "Group",
  plural: "groups",
  prefix: "grp",
  scope: "zone",
  spec: strict({
    members: Type.Array(Name, { maxItems: 1000, uniqueItems: true }),
    description: optional(Type.String({ maxLength: 200 })),
  }),
  status: strict({}),
});

/** A program of a project; it has tokens of its own and no password. */
export const ServiceAccount = defineKind({
  kind: "ServiceAccount",
  plural: "service-accounts",
  prefix: "sva",
  scope: "project",
  spec: strict({ description: optional(Type.String({ maxLength: 200 })), disabled: optional(Type.Boolean()) }),
  status: strict({}),
});

/** What may be done, as Cedar policies over actions and kinds; where, and by whom, is a binding's to say. */
export const Role = defineKind({
  kind: "Role",
  plural: "roles",
  prefix: "rol",
  scope: "zone",
  spec: strict({
    policies: Type.String({ minLength: 1, maxLength: 16_384, description: "Cedar policies" }),
    description: optional(Type.String({ maxLength: 200 })),
  }),
  status: strict({}),
});

export const subjectKinds = ["User", "Group", "ServiceAccount"] as const;

/** Gives a role to some, in one project, one organisation and its projects, at one provider and its sites, or in the whole zone. */
export const RoleBinding = defineKind({
  kind: "RoleBinding",
  plural: "role-bindings",
  prefix: "rlb",
  scope: "zone",
  spec: strict({
    role: Name,
    subjects: Type.Array(
      strict({
        kind: oneOf(subjectKinds),
        name: Name,
        /** Of a service account. */
        project: optional(Name),
      }),
      { minItems: 1, maxItems: 100, uniqueItems: true },
    ),
    /** At most one of these; the whole zone where all are absent. */
    project: optional(Name),
    organisation: optional(Name),
    provider: optional(Name),
  }),
  status: strict({}),
});
