import { builtInRoles, kindWord, type KindName, type ResourceOf } from "@skerry/model";
import type { View } from "@skerry/store";
import { sinceMs } from "./identity.ts";
import type { RecordedMutation } from "./recorded-mutation.ts";
import type { Refusal } from "./rules.ts";

/** What a field names, by which rights are given. */
interface Named {
  readonly field: string;
  readonly kind: "User" | "Group" | "ServiceAccount" | "Role";
  readonly name: string;
  readonly project?: string;
}

/**
 * Fields that an undo would set back to names that are others' by now: whoever reuses a name comes into nothing that another had.
 * @param now what is there; undefined where it is to be made again
 * @returns why not, by JSON pointer
 */
export function namesakes(
  view: View,
  was: ResourceOf<KindName>,
  now: ResourceOf<KindName> | undefined,
  then: RecordedMutation,
): ReadonlyMap<string, Refusal> {
  const there = new Set((now === undefined ? [] : namedBy(now)).map(keyOf));
  const refusals = new Map<string, Refusal>();
  for (const named of namedBy(was)) {
    if (there.has(keyOf(named)) || !isAnother(view, named, then)) continue;
    const { field, kind, name, project } = named;
    const [word, whole] = [kindWord(kind), project === undefined ? name : `${project}/${name}`];
    refusals.set(field, {
      why: `the ${word.replaceAll("-", " ")} ${whole} is another one by now than it named`,
      remedy: () =>
        `Name it yourself, if it is meant: see skerry ${word} show ${name}${project === undefined ? "" : ` --project ${project}`}`,
    });
  }
  return refusals;
}

function namedBy(object: ResourceOf<KindName>): readonly Named[] {
  switch (object.kind) {
    case "RoleBinding": {
      const { role, subjects } = object.spec;
      const isBuiltIn = builtInRoles.some((name) => name === role);
      const custom = isBuiltIn ? [] : [{ field: "/spec/role", kind: "Role", name: role } as const];
      return [...custom, ...subjects.map((subject) => ({ field: "/spec/subjects", ...subject }))];
    }
    case "Group":
      return object.spec.members.map((name) => ({ field: "/spec/members", kind: "User", name }));
    case "IdentityProvider":
      return (object.spec.groups ?? []).map(({ group }) => ({ field: "/spec/groups", kind: "Group", name: group }));
    default:
      return [];
  }
}

function keyOf({ kind, name, project = "" }: Named): string {
  return `${kind} ${project} ${name}`;
}

/** Whether who has the name came after: what has not changed since then is surely the same, and what was made again is too. */
function isAnother(view: View, { kind, name, project }: Named, { revisions, timeMs }: RecordedMutation): boolean {
  const found: ResourceOf<KindName> | undefined = view.get(kind, { name, project });
  if (found === undefined || found.metadata.revision <= revisions[1]) return false;
  return sinceMs(found.metadata) >= timeMs;
}
