import { Type } from "typebox";
import { Name, optional, strict, type GroupResource } from "@skerry/model";
import type { Transaction, View } from "@skerry/store";
import { requireCover, requireSway } from "../../authorisation/granting.ts";
import type { RightsIndex } from "../../authorisation/rights-index.ts";
import { mintSecret } from "../../authorisation/secret.ts";
import type { ActionIntent, IntentContext, IntentOutcome, KindIntents } from "../../intents.ts";
import { timestamp } from "../../operations/clock.ts";
import type { Random } from "../../operations/random.ts";
import { formatInvitation, invitationMs } from "../../sign-in/invitation.ts";
import { withCredentials } from "../../sign-in/local-credentials.ts";
import { takeFromGroups } from "../../sign-in/given-groups.ts";
import { userOf } from "../../sign-in/identity.ts";
import type { PeopleIndex } from "../../sign-in/people-index.ts";
import { endSessions, sessionsOf } from "../../sign-in/session.ts";
import type { UserResource, ServiceAccountResource } from "@skerry/model";
import { referenced } from "../references.ts";
import { conflict, inUse, missingReference } from "../refusal.ts";
import { forget, store } from "./zone-kind.ts";

interface SubjectDeps {
  readonly rights: Pick<RightsIndex, "grantsOf">;
}

interface UserDeps extends SubjectDeps {
  readonly random: Pick<Random, "bytes">;
  readonly people: Pick<PeopleIndex, "userIdOf" | "sessionIdsOf">;
}

/* Whom rights are given to. Whoever changes or removes one must have all that it was given: a lesser admin is none over a greater. */

export function userIntents({ rights, random, people }: UserDeps): KindIntents<"User"> {
  const require = (user: UserResource, context: IntentContext): void =>
    requireCover(context.rights, rights.grantsOf({ kind: "User", name: user.metadata.name }));
  return {
    initialStatus: {},
    create: store,
    update(tx, before, after, context) {
      require(before, context);
      if (after.spec.disabled !== true) return store(tx, after);
      // What was open stays shut when they are let in again.
      endSessions(tx, sessionsOf(tx, people, after.metadata.name));
      const { invitation: _over, ...credentials } = after.status.credentials ?? {};
      return store(tx, after.status.credentials === undefined ? after : withCredentials(after, credentials));
    },
    remove(tx, user, context) {
      require(user, context);
      const { name } = user.metadata;
      endSessions(tx, sessionsOf(tx, people, name));
      const groups = tx.list("Group").filter(({ spec }) => spec.members.includes(name));
      return forgetSubject(tx, user, context, [
        ...groups.map(({ metadata }) => `group ${metadata.name}`),
        ...usesOf(tx, { kind: "User", name }),
      ]);
    },
    actions: { invite: invite(random), link: link(people) },
  };
}

/** Whoever makes a link could use it, and would come into all that the user is given later: as with a user's token, that is a platform-admin's alone. */
function invite(random: Pick<Random, "bytes">): ActionIntent<"User"> {
  return {
    summary: "Makes a one-time link by which they set password and authenticator, anew where they have some.",
    input: strict({ lifetimeSeconds: optional(Type.Integer({ minimum: 60, maximum: 604_800 })) }),
    run(tx, user, { lifetimeSeconds }, context) {
      requireCover(context.rights, [{ role: "platform-admin", scope: {} }]);
      if (user.spec.disabled === true)
        throw conflict(`The user ${user.metadata.name} is disabled.`, "Let them in again first, then invite them.");
      const { identity } = user.status;
      if (identity !== undefined) {
        const remedy = `Have them sign in there: skerry login --identity-provider ${identity.identityProvider}`;
        throw conflict(`The user ${user.metadata.name} is known by an identity provider.`, remedy);
      }
      const { secret, hash } = mintSecret((bytes) => random.bytes(bytes));
      const lifetimeMs = lifetimeSeconds === undefined ? invitationMs : Number(lifetimeSeconds) * 1000;
      const invitation = { hash, expiresAt: timestamp(context.nowMs + lifetimeMs) };
      const invited = withCredentials(user, { ...user.status.credentials, invitation });
      return { resource: tx.put(invited), secret: formatInvitation({ id: user.metadata.id, secret }) };
    },
  };
}

export function groupIntents({ rights }: SubjectDeps): KindIntents<"Group"> {
  const require = ({ metadata }: GroupResource, context: IntentContext): void =>
    requireCover(context.rights, rights.grantsOf({ kind: "Group", name: metadata.name }));
  /** Whoever joins a group comes under what is forbidden to it. */
  const requireSwayOver = (added: readonly string[], { metadata }: GroupResource, context: IntentContext): void => {
    const forbidden = rights
      .grantsOf({ kind: "Group", name: metadata.name })
      .filter((grant) => context.rights?.forbids(grant));
    const held = forbidden.length === 0 ? [] : added.flatMap((name) => rights.grantsOf({ kind: "User", name }));
    for (const { scope } of forbidden) requireSway(context.rights, scope, held);
  };
  const check = (view: View, { spec }: GroupResource): void => {
    for (const [index, name] of spec.members.entries()) referenced(view, "User", name, `/spec/members/${index}`);
  };
  return {
    initialStatus: {},
    create(tx, draft) {
      check(tx, draft);
      return store(tx, draft);
    },
    update(tx, before, after, context) {
      require(before, context);
      check(tx, after);
      const added = after.spec.members.filter((member) => !before.spec.members.includes(member));
      requireSwayOver(added, after, context);
      return store(tx, after);
    },
    remove(tx, group, context) {
      require(group, context);
      const { name } = group.metadata;
      const givers = tx
        .list("IdentityProvider")
        .filter(({ spec }) => spec.groups?.some((given) => given.group === name));
      return forgetSubject(tx, group, context, [
        ...usesOf(tx, { kind: "Group", name }),
        ...givers.map(({ metadata }) => `identity provider ${metadata.name}`),
      ]);
    },
    actions: {},
  };
}

export function serviceAccountIntents({ rights }: SubjectDeps): KindIntents<"ServiceAccount"> {
  const subject = ({ metadata: { name, project } }: ServiceAccountResource) => ({
    kind: "ServiceAccount" as const,
    name,
    ...(project === undefined ? {} : { project }),
  });
  return {
    initialStatus: {},
    create: store,
    update(tx, before, after, context) {
      requireCover(context.rights, rights.grantsOf(subject(before)));
      return store(tx, after);
    },
    remove(tx, account, context) {
      requireCover(context.rights, rights.grantsOf(subject(account)));
      return forgetSubject(tx, account, context, usesOf(tx, subject(account)));
    },
    actions: {},
  };
}

/** Who says who somebody is could be them: a platform-admin's alone, as an invitation is. */
function link(people: UserDeps["people"]): ActionIntent<"User"> {
  return {
    summary: "Has them sign in by an identity provider from now on, as its subject, and by nothing else.",
    input: strict({ identityProvider: Name, subject: Type.String({ minLength: 1, maxLength: 255 }) }),
    run(tx, user, input, context) {
      requireCover(context.rights, [{ role: "platform-admin", scope: {} }]);
      const [name, subject] = [String(input["identityProvider"]), String(input["subject"])];
      const provider = tx.get("IdentityProvider", { name });
      if (provider === undefined) throw missingReference("/identityProvider", "IdentityProvider", name);
      const { issuer } = provider.spec;
      const known = userOf(tx, people, issuer, subject);
      if (known !== undefined && known.metadata.id !== user.metadata.id)
        throw conflict(`That is the user ${known.metadata.name}.`, "Give each user a subject of their own.");
      endSessions(tx, sessionsOf(tx, people, user.metadata.name));
      // What who vouched for them before had given them goes with that.
      const { identity } = user.status;
      const former =
        identity?.issuer === issuer
          ? undefined
          : tx.get("IdentityProvider", { name: identity?.identityProvider ?? "" });
      if (former !== undefined)
        takeFromGroups(
          tx,
          new Set(former.spec.groups?.map(({ group }) => group)),
          ({ metadata }) => metadata.id === user.metadata.id,
        );
      const { credentials: _over, ...status } = user.status;
      return {
        resource: tx.put({ ...user, status: { ...status, identity: { identityProvider: name, issuer, subject } } }),
      };
    },
  };
}

interface Subject {
  readonly kind: string;
  readonly name: string;
  readonly project?: string;
}

function forgetSubject<K extends "User" | "Group" | "ServiceAccount">(
  tx: Transaction,
  subject: (UserResource | GroupResource | ServiceAccountResource) & { readonly kind: K },
  context: IntentContext,
  users: readonly string[],
): IntentOutcome {
  if (users.length > 0)
    throw inUse(`${subject.kind} ${subject.metadata.name}`, users, "Take it out of these first, or delete them.");
  return forget(tx, subject, context);
}

/** What gives a subject rights, or shows itself as it: one of the same name made later must not come into these. */
function usesOf(view: View, { kind, name, project }: Subject): string[] {
  const is = (one: Subject): boolean => one.kind === kind && one.name === name && one.project === project;
  const bindings = view.list("RoleBinding").filter(({ spec }) => spec.subjects.some(is));
  const tokens = view.list("ApiToken").filter(({ spec }) => spec.owner !== undefined && is(spec.owner));
  return [
    ...bindings.map(({ metadata }) => `role binding ${metadata.name}`),
    ...tokens.map(({ metadata }) => `API token ${metadata.name}`),
  ];
}
