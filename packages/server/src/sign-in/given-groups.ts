import type { IdentityProviderResource, UserResource } from "@skerry/model";
import type { Transaction } from "@skerry/store";

type Spec = IdentityProviderResource["spec"];

/** The groups that a provider may not give any more, or not for all that it gave them for. */
export function groupsTaken(before: Spec, after: Spec): ReadonlySet<string> {
  const isAnotherClaim = before.groupsClaim !== after.groupsClaim;
  const stays = ({ value, group }: { readonly value: string; readonly group: string }): boolean =>
    !isAnotherClaim && after.groups?.some((one) => one.value === value && one.group === group) === true;
  return new Set((before.groups ?? []).filter((one) => !stays(one)).map(({ group }) => group));
}

/**
 * Takes from groups whom their provider may have put there, at once and not when they next sign in: which value of the claim each came by
 * is not kept, so that whoever has another that still counts is given the group anew by then.
 */
export function takeFromGroups(
  tx: Transaction,
  groups: Iterable<string>,
  isGiven: (user: UserResource) => boolean,
): void {
  for (const name of groups) {
    const group = tx.get("Group", { name });
    if (group === undefined) continue;
    const members = group.spec.members.filter((member) => {
      const user = tx.get("User", { name: member });
      return user === undefined || !isGiven(user);
    });
    if (members.length === group.spec.members.length) continue;
    const metadata = { ...group.metadata, generation: group.metadata.generation + 1 };
    tx.put({ ...group, metadata, spec: { ...group.spec, members } });
  }
}
