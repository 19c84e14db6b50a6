import { builtInRoles, kindNames, type RoleResource } from "@skerry/model";
import type { View } from "@skerry/store";
import { requireCoverOf, requireSway } from "../../authorisation/granting.ts";
import { checkPolicies, permissionsOf, prohibitionsOf } from "../../authorisation/policies.ts";
import type { RightsIndex } from "../../authorisation/rights-index.ts";
import { verbs } from "../../authorisation/verbs.ts";
import type { IntentContext, KindIntents } from "../../intents.ts";
import { conflict, inUse } from "../refusal.ts";
import { grantOf, heldBy } from "./role-binding.ts";
import { forget, store } from "./zone-kind.ts";

interface RoleDeps {
  readonly rights: Pick<RightsIndex, "grantsOf">;
}

export function roleIntents({ rights }: RoleDeps): KindIntents<"Role"> {
  return {
    initialStatus: {},
    create(tx, draft, context) {
      check(draft);
      require([draft], context);
      return store(tx, draft);
    },
    update(tx, before, after, context) {
      check(after);
      // What it permitted is taken with this from whoever has it, and what it forbade is given them.
      require([before, after], context);
      if (!forbidsMore(before, after)) return store(tx, after);
      for (const binding of tx.list("RoleBinding"))
        if (binding.spec.role === after.metadata.name)
          requireSway(context.rights, grantOf(binding).scope, heldBy(tx, rights, binding.spec.subjects));
      return store(tx, after);
    },
    remove(tx, role, context) {
      const { name } = role.metadata;
      const users = usersOf(tx, name);
      if (users.length > 0)
        throw inUse(
          `The role ${name}`,
          users,
          "Delete these first: skerry role-binding delete NAME, skerry api-token delete NAME",
        );
      return forget(tx, role, context);
    },
    actions: {},
  };
}

function check({ metadata: { name }, spec }: RoleResource): void {
  if (builtInRoles.some((builtIn) => builtIn === name))
    throw conflict(`${name} is a role that every zone has.`, "Choose another name.");
  checkPolicies(spec.policies);
}

function require(roles: readonly RoleResource[], { rights }: IntentContext): void {
  const texts = roles.map(({ spec }) => [spec.policies]);
  requireCoverOf(rights, [...texts.map(permissionsOf), ...texts.map(prohibitionsOf)]);
}

function forbidsMore(before: RoleResource, after: RoleResource): boolean {
  const [old, next] = [prohibitionsOf([before.spec.policies]), prohibitionsOf([after.spec.policies])];
  return kindNames.some((kind) => verbs.some((verb) => next.has(verb, kind) && !old.has(verb, kind)));
}

function usersOf(view: View, role: string): string[] {
  const bindings = view.list("RoleBinding").filter(({ spec }) => spec.role === role);
  const tokens = view.list("ApiToken").filter(({ spec }) => spec.role === role);
  return [
    ...bindings.map(({ metadata }) => `role binding ${metadata.name}`),
    ...tokens.map(({ metadata }) => `API token ${metadata.name}`),
  ];
}
