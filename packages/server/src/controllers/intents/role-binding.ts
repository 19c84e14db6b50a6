import { builtInRoles, type RoleBindingResource } from "@skerry/model";
import type { View } from "@skerry/store";
import { requireCover } from "../../authorisation/granting.ts";
import { placeKey, type Place } from "../../authorisation/place.ts";
import type { KindIntents } from "../../intents.ts";
import { referenced } from "../references.ts";
import { invalidField, missingReference, refuseChanges } from "../refusal.ts";
import { forget, store } from "./zone-kind.ts";

export const roleBindingIntents: KindIntents<"RoleBinding"> = {
  initialStatus: {},
  create(tx, draft, context) {
    check(tx, draft);
    requireCover(context.rights, [grantOf(draft)]);
    return store(tx, draft);
  },
  update(tx, before, after, context) {
    refuseChanges(
      before.spec,
      after.spec,
      ["role", "project", "organisation", "provider"],
      "a binding is of one role in one place",
    );
    check(tx, after);
    requireCover(context.rights, [grantOf(after)]);
    return store(tx, after);
  },
  /** Whoever takes a right away must have had it to give: an admin of less does not depose one of more. */
  remove(tx, binding, context) {
    requireCover(context.rights, [grantOf(binding)]);
    return forget(tx, binding, context);
  },
  actions: {},
};

function grantOf({ spec: { role, project, organisation, provider } }: RoleBindingResource) {
  return { role, scope: { project, organisation, provider } };
}

function check(view: View, { spec }: RoleBindingResource): void {
  const { role, subjects, project, organisation, provider } = spec;
  const scopes = [project, organisation, provider].filter((scope) => scope !== undefined);
  if (scopes.length > 1)
    throw invalidField(
      "/spec",
      "names more than one of project, organisation and provider",
      "Make a binding for each.",
    );
  checkRole(view, role, scopes.length === 0);
  if (project !== undefined) referenced(view, "Project", project, "/spec/project");
  if (organisation !== undefined) referenced(view, "Organisation", organisation, "/spec/organisation");
  if (provider !== undefined) referenced(view, "Provider", provider, "/spec/provider");
  for (const [index, subject] of subjects.entries()) {
    const path = `/spec/subjects/${index}`;
    if ((subject.kind === "ServiceAccount") !== (subject.project !== undefined))
      throw invalidField(`${path}/project`, "must be there for a service account, and for nothing else");
    referenced(view, subject.kind, subject.name, `${path}/name`, subject.project);
  }
}

/** @throws SkerryError invalid-request where there is no such role, or where it is not for there */
export function checkRole(view: View, role: string, zoneWide: boolean): void {
  const builtIn = builtInRoles.some((name) => name === role);
  if (!builtIn && view.get("Role", { name: role }) === undefined) throw missingReference("/spec/role", "Role", role);
  if (role === "platform-admin" && !zoneWide)
    throw invalidField("/spec/role", "platform-admin is for the whole zone", "Give admin there instead.");
}

/** Bindings of just that scope: a namesake of it that is made later must not come into them. */
export function bindingsAt(view: View, scope: Place): string[] {
  const key = placeKey(scope);
  return view
    .list("RoleBinding")
    .filter(({ spec }) => placeKey(spec) === key)
    .map(({ metadata }) => `role binding ${metadata.name}`);
}
