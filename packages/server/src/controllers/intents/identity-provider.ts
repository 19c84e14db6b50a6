import { X509Certificate } from "node:crypto";
import type { ApiTokenResource, IdentityProviderResource } from "@skerry/model";
import type { Transaction, View } from "@skerry/store";
import { requireCover } from "../../authorisation/granting.ts";
import type { IntentContext, KindIntents } from "../../intents.ts";
import { groupsTaken, takeFromGroups } from "../../sign-in/given-groups.ts";
import { isSafeIssuer } from "../../sign-in/issuer-address.ts";
import { endSessions } from "../../sign-in/session.ts";
import { referenced } from "../references.ts";
import { conflict, inUse, invalidField, refuseChanges } from "../refusal.ts";
import { forget, store } from "./zone-kind.ts";

/** Who says who people are could be any of them, and says where the server asks: a platform-admin's alone. */
export const identityProviderIntents: KindIntents<"IdentityProvider"> = {
  initialStatus: {},
  create(tx, draft, context) {
    requirePlatformAdmin(context);
    check(tx, draft);
    return store(tx, draft);
  },
  update(tx, before, after, context) {
    requirePlatformAdmin(context);
    refuseChanges(before.spec, after.spec, ["issuer"], "its users are known by it");
    check(tx, after);
    if (after.spec.disabled === true || after.spec.clientId !== before.spec.clientId) endSessionsBy(tx, after);
    else if (after.spec.maxSessionSeconds !== before.spec.maxSessionSeconds) endLongSessions(tx, after);
    const { issuer } = after.spec;
    takeFromGroups(tx, groupsTaken(before.spec, after.spec), ({ status }) => status.identity?.issuer === issuer);
    return store(tx, after);
  },
  remove(tx, provider, context) {
    requirePlatformAdmin(context);
    const { name } = provider.metadata;
    const users = tx.list("User").filter(({ status }) => status.identity?.issuer === provider.spec.issuer);
    if (users.length > 0) {
      const names = users.map(({ metadata }) => `user ${metadata.name}`);
      throw inUse(`The identity provider ${name}`, names, "Delete these users first, or disable it.");
    }
    endSessionsBy(tx, provider);
    return forget(tx, provider, context);
  },
  actions: {},
};

function requirePlatformAdmin(context: IntentContext): void {
  requireCover(context.rights, [{ role: "platform-admin", scope: {} }]);
}

function check(view: View, { metadata, spec }: IdentityProviderResource): void {
  const { issuer, authority, groups = [], groupsClaim } = spec;
  if (!isSafeIssuer(issuer))
    throw invalidField("/spec/issuer", "must be https, but on this machine itself", "Write it as it calls itself.");
  const twin = view.list("IdentityProvider").find((other) => other.spec.issuer === issuer);
  if (twin !== undefined && twin.metadata.id !== metadata.id)
    throw conflict(`The identity provider ${twin.metadata.name} is the same issuer.`, "Change that one.");
  if (authority !== undefined && !isCertificate(authority))
    throw invalidField("/spec/authority", "must be a certificate in PEM");
  if (groups.length > 0 && groupsClaim === undefined)
    throw invalidField("/spec/groupsClaim", "is missing", "Say which claim names the groups: --groups-claim CLAIM");
  for (const [index, { group }] of groups.entries()) referenced(view, "Group", group, `/spec/groups/${index}/group`);
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).publicKey !== undefined;
  } catch {
    // Whatever is wrong with it, it is none.
    return false;
  }
}

function endSessionsBy(tx: Transaction, provider: IdentityProviderResource): void {
  endSessions(tx, sessionsBy(tx, provider));
}

/** Those that would last longer than any may by now. */
function endLongSessions(tx: Transaction, provider: IdentityProviderResource): void {
  const { maxSessionSeconds: most } = provider.spec;
  if (most === undefined) return;
  const isLong = ({ spec }: ApiTokenResource): boolean => !(Number(spec.lifetimeSeconds) <= most);
  endSessions(tx, sessionsBy(tx, provider).filter(isLong));
}

function sessionsBy(view: View, { metadata }: IdentityProviderResource): readonly ApiTokenResource[] {
  return view.list("ApiToken").filter(({ status }) => status.session?.identityProvider === metadata.name);
}
