import { isDeepStrictEqual } from "node:util";
import { builtInRoles, type RoleBindingResource } from "@skerry/model";
import type { View } from "@skerry/store";
import { requireCover, requireSway } from "../../authorisation/granting.ts";
import { placeKey, type Place } from "../../authorisation/place.ts";
import type { RightsIndex } from "../../authorisation/rights-index.ts";
import type { Grant } from "../../authorisation/rights.ts";
import type { IntentContext, KindIntents } from "../../intents.ts";
import { referenced } from "../references.ts";
import { invalidField, missingReference, refuseChanges } from "../refusal.ts";
import { forget, store } from "./zone-kind.ts";

interface RoleBindingDeps {
  readonly rights: Pick<RightsIndex, "grantsOf">;
}

export function roleBindingIntents({ rights }: RoleBindingDeps): KindIntents<"RoleBinding"> {
  const require = (tx: View, binding: RoleBindingResource, added: readonly Subject[], context: IntentContext): void => {
    const grant = grantOf(binding);
    requireCover(context.rights, [grant]);
    if (context.rights?.forbids(grant) === true) requireSway(context.rights, grant.scope, heldBy(tx, rights, added));
  };
  return {
    initialStatus: {},
    create(tx, draft, context) {
      check(tx, draft);
      require(tx, draft, draft.spec.subjects, context);
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
      const added = after.spec.subjects.filter(
        (one) => !before.spec.subjects.some((old) => isDeepStrictEqual(old, one)),
      );
      require(tx, after, added, context);
      return store(tx, after);
    },
    /** Whoever takes a right away must have had it to give: an admin of less does not depose one of more. */
    remove(tx, binding, context) {
      require(tx, binding, [], context);
      return forget(tx, binding, context);
    },
    actions: {},
  };
}

type Subject = RoleBindingResource["spec"]["subjects"][number];

/** What subjects were given, and those who are in them. */
export function heldBy(view: View, rights: Pick<RightsIndex, "grantsOf">, subjects: readonly Subject[]): Grant[] {
  return subjects.flatMap((subject) => {
    const group = subject.kind === "Group" ? view.get("Group", { name: subject.name }) : undefined;
    const members = (group?.spec.members ?? []).map((name) => ({ kind: "User" as const, name }));
    return [subject, ...members].flatMap((one) => rights.grantsOf(one));
  });
}

export function grantOf({ spec: { role, project, organisation, provider } }: RoleBindingResource): Grant {
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
