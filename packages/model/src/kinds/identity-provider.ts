import { Type } from "typebox";
import { Name, Timestamp, oneOf, optional, strict } from "../schema.ts";
import { defineKind } from "../kind.ts";

const Claim = Type.String({ minLength: 1, maxLength: 100 });
const Value = Type.String({ minLength: 1, maxLength: 200 });

/** Who else says who somebody is, by OpenID Connect; a person is known by its issuer and their subject there, and by nothing else. */
export const IdentityProvider = defineKind({
  kind: "IdentityProvider",
  plural: "identity-providers",
  prefix: "idp",
  scope: "zone",
  spec: strict({
    displayName: optional(Type.String({ maxLength: 200 })),
    issuer: Type.String({
      pattern: "^https?://[^\\s?#]+$",
      maxLength: 500,
      description: "https://…, as it calls itself",
    }),
    clientId: Type.String({ minLength: 1, maxLength: 500 }),
    /** Kept sealed; where there is none, the client is a public one. */
    clientSecret: optional(Type.String({ minLength: 1, maxLength: 2000 })),
    /** PEM of its own authority; the system's authorities where absent. */
    authority: optional(Type.String({ maxLength: 65_536 })),
    /** Beside openid. */
    scopes: optional(
      Type.Array(Type.String({ pattern: "^[!#-\\[\\]-~]{1,100}$", description: "a word" }), {
        maxItems: 20,
        uniqueItems: true,
      }),
    ),
    /** What users are named after; preferred_username where absent. */
    nameClaim: optional(Claim),
    /** Only whom this claim has one of these values of is let in. */
    admits: optional(
      strict({ claim: Claim, values: Type.Array(Value, { minItems: 1, maxItems: 100, uniqueItems: true }) }),
    ),
    /** Whether who comes for the first time becomes a user; else a platform-admin links users. */
    createsUsers: optional(Type.Boolean()),
    groupsClaim: optional(Claim),
    /** The groups that it may give, each for a value of that claim; membership of these follows it at each sign-in. */
    groups: optional(Type.Array(strict({ value: Value, group: Name }), { maxItems: 200, uniqueItems: true })),
    /** The longest that a session by it lasts, whatever is wished; 30 days where absent. */
    maxSessionSeconds: optional(Type.Integer({ minimum: 60, maximum: 2_592_000 })),
    /** Nobody signs in by it any more, and its sessions end. */
    disabled: optional(Type.Boolean()),
  }),
  status: strict({
    /** When its client's secret was last set. */
    secretSetAt: optional(Timestamp),
  }),
});

/** How a session came about. */
export const sessionOrigins = ["password", "recovery-code", "identity-provider"] as const;
export const SessionOrigin = strict({ by: oneOf(sessionOrigins), identityProvider: optional(Name) });
