import { Type, type Static } from "typebox";
import { Name, Timestamp, optional, strict } from "./schema.ts";

/* What clients and server say to each other when somebody signs in, or sets how they will. */

const Password = Type.String({ maxLength: 1024 });
const Code = Type.String({ maxLength: 64, description: "of an authenticator, or a recovery code" });
const Draft = Type.String({ maxLength: 2048, description: "as it was given" });
const Link = Type.String({ maxLength: 128, description: "the code of a one-time link" });

/** What a session may be limited to, and how long it lasts; 12 hours where absent. */
const SessionLimits = {
  role: optional(Name),
  project: optional(Name),
  lifetimeSeconds: optional(Type.Integer({ minimum: 60, maximum: 2_592_000 })),
};

export const SignInRequest = strict({ user: Name, password: Password, code: Code, ...SessionLimits });

/** A session: an API token, shown this once. */
export const SignedIn = strict({
  user: Name,
  token: Type.String(),
  /** The API token's. */
  name: Name,
  expiresAt: optional(Timestamp),
});
export type SignedIn = Static<typeof SignedIn>;

export const SignOutRequest = strict({
  everywhere: optional(Type.Boolean({ description: "all sessions of the user, and not only this one" })),
});
export const SignedOut = strict({ ended: Type.Integer({ description: "sessions that ended" }) });

/** What proves again who somebody is that is known by a token already. */
const Proof = { password: Password, code: Code };
export const PasswordChange = strict({ ...Proof, newPassword: Password });
export const ProofRequest = strict(Proof);

/** A new authenticator's secret: it counts once a code of it came with the draft. */
export const TotpBegun = strict({ secret: Type.String(), uri: Type.String(), draft: Type.String() });
export type TotpBegun = Static<typeof TotpBegun>;
export const TotpConfirmation = strict({ draft: Draft, totpCode: Code });

export const RecoveryCodesMade = strict({ recoveryCodes: Type.Array(Type.String()) });
export type RecoveryCodesMade = Static<typeof RecoveryCodesMade>;

export const EnrolmentOpening = strict({ code: Link });
export const EnrolmentBegun = strict({
  /** Whom the link is for; where absent they choose their name. */
  name: optional(Name),
  ...TotpBegun.properties,
});
export type EnrolmentBegun = Static<typeof EnrolmentBegun>;

export const EnrolmentRequest = strict({
  code: Link,
  draft: Draft,
  name: optional(Name),
  password: Password,
  totpCode: Code,
});
export type EnrolmentRequest = Static<typeof EnrolmentRequest>;
export const Enrolled = strict({ ...SignedIn.properties, ...RecoveryCodesMade.properties });
export type Enrolled = Static<typeof Enrolled>;

export type SignInRequest = Static<typeof SignInRequest>;

const IdentityProviderChoice = { identityProvider: optional(Name) };

/** Begins a sign-in at an identity provider, by a browser on the same machine as the program. */
export const BrowserSignInOpening = strict({
  /** Where there is one only, it may be absent. */
  ...IdentityProviderChoice,
  redirectUri: Type.String({ maxLength: 200, description: "http://127.0.0.1:PORT/callback" }),
});
export const BrowserSignInBegun = strict({
  authorizationUrl: Type.String(),
  /** Must come back with the browser. */
  state: Type.String(),
  draft: Type.String(),
});
export type BrowserSignInBegun = Static<typeof BrowserSignInBegun>;
export const BrowserSignInRequest = strict({
  draft: Type.String({ maxLength: 4096 }),
  answer: Type.String({ maxLength: 8192, description: "the query that the browser came back with" }),
  ...SessionLimits,
});
export type BrowserSignInRequest = Static<typeof BrowserSignInRequest>;

/** Begins a sign-in at an identity provider, by a browser anywhere. */
export const DeviceSignInOpening = strict(IdentityProviderChoice);
export const DeviceSignInBegun = strict({
  userCode: Type.String(),
  verificationUri: Type.String(),
  verificationUriComplete: optional(Type.String()),
  intervalSeconds: Type.Integer(),
  draft: Type.String(),
});
export type DeviceSignInBegun = Static<typeof DeviceSignInBegun>;
export const DeviceSignInRequest = strict({ draft: Type.String({ maxLength: 8192 }), ...SessionLimits });
export type DeviceSignInRequest = Static<typeof DeviceSignInRequest>;
export const DeviceSignInPending = strict({
  retryAfterSeconds: Type.Integer({ description: "the person has yet to sign in; ask again then" }),
});
export type DeviceSignInPending = Static<typeof DeviceSignInPending>;
