import { isDeepStrictEqual } from "node:util";
import {
  SkerryError,
  maxManagers,
  unnamedManager,
  type FieldOwnership,
  type KindName,
  type ResourceOf,
} from "@skerry/model";
import { fieldsOf, type Content, type Fields } from "./object-fields.ts";

/* Whose fields are: docs/adr/0009. What no manager is listed for is `api`'s, so that an object that nobody applied needs no list. */

/** Managers of each field that somebody applied. */
export type Owners = ReadonlyMap<string, ReadonlySet<string>>;

export function ownersIn(managers: readonly FieldOwnership[] = []): Owners {
  const owners = new Map<string, Set<string>>();
  for (const { manager, fields } of managers) {
    for (const field of fields) owners.set(field, (owners.get(field) ?? new Set()).add(manager));
  }
  return owners;
}

/** Of a field that is there. */
export function ownersOf(owners: Owners, pointer: string): ReadonlySet<string> {
  return owners.get(pointer) ?? new Set([unnamedManager]);
}

/**
 * As metadata keep it: fields that are there, in one order, and `api` only where it shares a field.
 * @throws SkerryError conflict where there are more managers than an object keeps
 */
export function ownershipOf(owners: Owners, fields: Fields): FieldOwnership[] | undefined {
  const byManager = new Map<string, string[]>();
  for (const pointer of [...owners.keys()].filter((key) => fields.has(key)).toSorted()) {
    const managers = ownersOf(owners, pointer);
    if (managers.size === 1 && managers.has(unnamedManager)) continue;
    for (const manager of managers) byManager.set(manager, [...(byManager.get(manager) ?? []), pointer]);
  }
  const named = [...byManager.keys()].filter((manager) => manager !== unnamedManager).toSorted();
  if (named.length > maxManagers) {
    throw new SkerryError("conflict", `${named.length} managers would have fields of it; at most ${maxManagers} may.`, {
      remedy: `Apply by one of those that have: ${named.slice(0, maxManagers).join(", ")}.`,
    });
  }
  if (byManager.size === 0) return undefined;
  return [...byManager].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([manager, own]) => ({ manager, fields: own }));
}

/** Who owns what after a change that named no manager: what it changed is `api`'s. Costs nothing where nobody applied the object. */
export function ownershipAfter(before: ResourceOf<KindName>, after: Content): FieldOwnership[] | undefined {
  const { kind, metadata, spec } = before;
  if (metadata.managers === undefined) return undefined;
  const was = fieldsOf(kind, { labels: metadata.labels, spec });
  const is = fieldsOf(kind, after);
  const kept = [...ownersIn(metadata.managers)].filter(([pointer]) =>
    isDeepStrictEqual(was.get(pointer), is.get(pointer)),
  );
  return ownershipOf(new Map(kept), is);
}
