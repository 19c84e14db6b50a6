import { SkerryError, builtInRoles, kindNames, type RoleResource } from "@skerry/model";
import type { View } from "@skerry/store";
import { checkPolicies, permissionsOf } from "../../authorisation/policies.ts";
import { verbs } from "../../authorisation/verbs.ts";
import type { IntentContext, KindIntents } from "../../intents.ts";
import { conflict, inUse } from "../refusal.ts";
import { forget, store } from "./zone-kind.ts";

export const roleIntents: KindIntents<"Role"> = {
  initialStatus: {},
  create(tx, draft, context) {
    check(draft, context);
    return store(tx, draft);
  },
  update(tx, _before, after, context) {
    check(after, context);
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

/** A role may be given anywhere: whoever writes one must be able to do all of it in the whole zone. */
function check({ metadata, spec }: RoleResource, { rights }: IntentContext): void {
  const { name } = metadata;
  if (builtInRoles.some((builtIn) => builtIn === name))
    throw conflict(`${name} is a role that every zone has.`, "Choose another name.");
  checkPolicies(spec.policies);
  const asked = permissionsOf([spec.policies]);
  if (rights === undefined) return;
  for (const kind of kindNames) {
    const verb = verbs.find((one) => asked.has(one, kind) && !rights.allow(one, kind, {}));
    if (verb === undefined) continue;
    throw new SkerryError(
      "forbidden",
      `This would permit what you may not do yourself in the whole zone: ${verb} of ${kind}.`,
      {
        remedy: "Leave it out, or ask somebody who may.",
      },
    );
  }
}

function usersOf(view: View, role: string): string[] {
  const bindings = view.list("RoleBinding").filter(({ spec }) => spec.role === role);
  const tokens = view.list("ApiToken").filter(({ spec }) => spec.role === role);
  return [
    ...bindings.map(({ metadata }) => `role binding ${metadata.name}`),
    ...tokens.map(({ metadata }) => `API token ${metadata.name}`),
  ];
}
