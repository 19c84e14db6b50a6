import type { JWTPayload } from "jose";
import { SkerryError, kinds, type IdentityProviderResource, type UserResource } from "@skerry/model";
import type { Transaction, View } from "@skerry/store";
import { makeDraft } from "../../api/draft.ts";
import type { IntentContext, IntentTable } from "../../intents.ts";
import { freshName, userOf } from "../identity.ts";
import type { PeopleIndex } from "../people-index.ts";

/** Somebody as an identity provider tells them: known by issuer and subject, and all else is but words. */
export interface Person {
  readonly subject: string;
  readonly claims: JWTPayload;
}

type Intents = Pick<IntentTable, "User" | "Group">;
type People = Pick<PeopleIndex, "userIdOf">;

/** @throws SkerryError forbidden where the provider's rules don't let them in */
export function checkAdmitted({ metadata, spec }: IdentityProviderResource, { claims }: Person): void {
  const { admits } = spec;
  if (admits === undefined || valuesOf(claims[admits.claim]).some((value) => admits.values.includes(value))) return;
  throw new SkerryError(
    "forbidden",
    `The identity provider ${metadata.name} knows you, and not all whom it knows are let in here.`,
    {
      remedy: `Ask a platform-admin: your ${admits.claim} there is none of those that are let in.`,
    },
  );
}

/** What they are called here; a new name where they are new. @throws SkerryError forbidden where nobody is made a user */
export function nameOf(
  view: View,
  people: People,
  { metadata, spec }: IdentityProviderResource,
  { subject, claims }: Person,
): string {
  const known = userOf(view, people, spec.issuer, subject);
  if (known !== undefined) return known.metadata.name;
  if (spec.createsUsers === true) {
    const called = claims[spec.nameClaim ?? "preferred_username"];
    return freshName(view, typeof called === "string" ? called : "", spec.issuer, subject);
  }
  throw new SkerryError(
    "forbidden",
    `The identity provider ${metadata.name} knows you, and no user here is linked with you.`,
    {
      remedy: `Ask a platform-admin to link yours: skerry user link NAME --identity-provider ${metadata.name} --subject ${subject.replaceAll(/[^\w.@|:-]/g, "?")}`,
    },
  );
}

/** The user that a person is, made where there is none, in the groups that the provider gives them. */
export function welcome(
  intents: Intents & { readonly people: People },
  tx: Transaction,
  provider: IdentityProviderResource,
  person: Person,
  name: string,
  context: IntentContext,
): UserResource {
  const { issuer } = provider.spec;
  const known = userOf(tx, intents.people, issuer, person.subject);
  // Somebody else may have come meanwhile.
  if (known === undefined ? tx.get("User", { name }) !== undefined : known.metadata.name !== name)
    throw new SkerryError("busy", "Somebody of the same name signs in for the first time just now.", {
      remedy: "Sign in again.",
    });
  if (known?.spec.disabled === true) throw new SkerryError("forbidden", `The user ${name} is disabled.`);
  const user = known ?? make(intents, tx, provider, person, name, context);
  giveGroups(intents, tx, provider, person, name, context);
  return user;
}

function make(
  intents: Intents,
  tx: Transaction,
  provider: IdentityProviderResource,
  { subject, claims }: Person,
  name: string,
  context: IntentContext,
): UserResource {
  const { name: displayName, email, email_verified: isVerified } = claims;
  const spec = {
    ...(typeof displayName === "string" && displayName !== "" ? { displayName: displayName.slice(0, 200) } : {}),
    ...(isVerified === true && typeof email === "string" && /^[^@\s]{1,64}@[^@\s]{1,180}$/.test(email)
      ? { email }
      : {}),
  };
  const draft = makeDraft(
    "User",
    context.makeId(kinds.User.prefix),
    { name },
    { spec, labels: {}, status: intents.User.initialStatus },
    context.nowMs,
  );
  intents.User.create(tx, draft, context);
  const made = tx.get("User", { name });
  if (made === undefined) throw new Error(`the user ${name} was made and is not there`);
  const identity = { identityProvider: provider.metadata.name, issuer: provider.spec.issuer, subject };
  return tx.amend({ ...made, status: { ...made.status, identity } });
}

/** Membership of the groups that the provider may give, and of no others, follows the claim. */
function giveGroups(
  intents: Intents,
  tx: Transaction,
  { spec }: IdentityProviderResource,
  { claims }: Person,
  name: string,
  context: IntentContext,
): void {
  const { groups = [], groupsClaim } = spec;
  const told = new Set(groupsClaim === undefined ? [] : valuesOf(claims[groupsClaim]));
  for (const key of new Set(groups.map(({ group }) => group))) {
    const group = tx.get("Group", { name: key });
    if (group === undefined || group.metadata.deletedAt !== undefined) continue;
    const isIn = groups.some((given) => given.group === key && told.has(given.value));
    const { members } = group.spec;
    if (members.includes(name) === isIn) continue;
    const next = isIn ? [...members, name] : members.filter((member) => member !== name);
    const metadata = { ...group.metadata, generation: group.metadata.generation + 1 };
    if (next.length > maxMembers)
      throw new SkerryError("conflict", `The group ${key} has ${maxMembers} members, and takes no more.`, {
        remedy: "Ask a platform-admin for another group.",
      });
    // The server gives it: what the provider may give, a platform-admin has said.
    const { rights: _none, ...own } = context;
    intents.Group.update(tx, group, { ...group, metadata, spec: { ...group.spec, members: next } }, own);
  }
}

/** As a group has at most, by its schema. */
const maxMembers = 1000;

/** A claim's words, of which there may be one or several. */
function valuesOf(claim: unknown): readonly string[] {
  if (Array.isArray(claim)) return claim.filter((value) => typeof value === "string");
  return typeof claim === "string" || typeof claim === "boolean" ? [String(claim)] : [];
}
