import { builtInRoles, kindNames } from "@skerry/model";
import { builtInPolicies, permissionsOf, prohibitionsOf, type Permissions } from "./policies.ts";
import { verbs } from "./verbs.ts";

/** Distinct sets of roles whose permissions are kept. */
const maxSets = 1000;

/** What roles permit. Made anew when a role changes. */
export class RoleBook {
  readonly #policies: ReadonlyMap<string, string>;
  readonly #known = new Map<string, Permissions>();
  readonly #prohibitions = new Map<string, Permissions | undefined>();

  /** @param custom policies by role */
  constructor(custom: ReadonlyMap<string, string>) {
    const builtIn = builtInRoles.map((role) => [role, builtInPolicies[role]] as const);
    this.#policies = new Map([...custom, ...builtIn]);
  }

  /** What roles permit together; one that is not there permits nothing. */
  permissions(roles: readonly string[]): Permissions {
    const names = [...new Set(roles)].sort();
    const key = names.join(" ");
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const permissions = permissionsOf(names.flatMap((name) => this.#policies.get(name) ?? []));
    if (this.#known.size >= maxSets) this.#known.clear();
    this.#known.set(key, permissions);
    return permissions;
  }

  /** What a role takes from whoever has it, whatever else they have; undefined where it takes nothing. */
  prohibitions(role: string): Permissions | undefined {
    const text = this.#policies.get(role);
    if (text === undefined) return undefined;
    if (!this.#prohibitions.has(role)) {
      const taken = prohibitionsOf([text]);
      const isAny = kindNames.some((kind) => verbs.some((verb) => taken.has(verb, kind)));
      this.#prohibitions.set(role, isAny ? taken : undefined);
    }
    return this.#prohibitions.get(role);
  }
}
