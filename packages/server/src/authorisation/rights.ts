import { kindNames, type KindName } from "@skerry/model";
import { enclosing, mayBeIn, placeKey, type Atlas, type Place } from "./place.ts";
import type { Permissions } from "./policies.ts";
import { verbs, type Verb } from "./verbs.ts";

/** A role and where it holds. */
export interface Grant {
  readonly role: string;
  readonly scope: Place;
}

/** What rights are read against: roles, and where things are. */
export interface Roles extends Atlas {
  /** What roles permit together, those that there are. */
  permissions(roles: readonly string[]): Permissions;
  /** What a role takes from whoever has it, whatever else they have; undefined where it takes nothing. */
  prohibitions(role: string): Permissions | undefined;
  projectsOf(organisation: string): readonly string[];
}

const maxPlaces = 10_000;

/** What somebody may do: what roles permit that they were given where a thing is, or around it; nothing else. */
export class Rights implements Atlas {
  readonly grants: readonly Grant[];
  /** At most this of what the grants give: a token's own limit. */
  readonly limit: Grant | undefined;
  readonly #roles: Roles;
  readonly #byScope = new Map<string, string[]>();
  readonly #byPlace = new Map<string, Permissions>();

  constructor(grants: readonly Grant[], limit: Grant | undefined, roles: Roles) {
    this.grants = grants;
    this.limit = limit;
    this.#roles = roles;
    for (const { role, scope } of grants) {
      const key = placeKey(scope);
      const others = this.#byScope.get(key);
      if (others === undefined) this.#byScope.set(key, [role]);
      else others.push(role);
    }
  }

  organisationOf(project: string): string | undefined {
    return this.#roles.organisationOf(project);
  }

  providerOf(site: string): string | undefined {
    return this.#roles.providerOf(site);
  }

  /** Microseconds, however many roles are given to others. */
  allow(verb: Verb, kind: KindName, place: Place): boolean {
    return this.#at(place).has(verb, kind);
  }

  /** Whether there is any place where they may: for what is not said yet where it will be. */
  allowSomewhere(verb: Verb, kind: KindName): boolean {
    return this.grants.some(({ scope }) => mayBeIn(kind, scope) && this.allow(verb, kind, scope));
  }

  /**
   * Whether they may do all that a role permits and all that it forbids, everywhere in its scope: nobody gives what they have not, nor
   * lifts what they are held by.
   */
  cover({ role, scope }: Grant): boolean {
    return this.lacks([this.#roles.permissions([role]), this.#roles.prohibitions(role)], scope) === undefined;
  }

  /** The first of what is decided that they may not do themselves, in all of a scope or somewhere within it. */
  lacks(
    decided: readonly (Permissions | undefined)[],
    scope: Place,
  ): { readonly verb: Verb; readonly kind: KindName } | undefined {
    const key = placeKey(scope);
    // Within it they have less only where something is forbidden to them.
    const within = this.grants.filter((own) => this.forbids(own) && enclosing(own.scope, this.#roles).includes(key));
    const places = [scope, ...within.map((own) => own.scope)].map((place) => this.#at(place));
    for (const kind of kindNames) {
      for (const verb of verbs) {
        if (!decided.some((part) => part?.has(verb, kind) === true)) continue;
        if (!places.every((own) => own.has(verb, kind))) return { verb, kind };
      }
    }
    return undefined;
  }

  /** Whether a role takes anything from whoever has it. */
  forbids({ role }: Grant): boolean {
    return this.#roles.prohibitions(role) !== undefined;
  }

  /** The projects in which alone they were given anything, sorted; undefined where it may be more than projects. */
  get projects(): readonly string[] | undefined {
    const limited = this.limit?.scope.project;
    if (limited !== undefined) return [limited];
    const names = new Set<string>();
    for (const { scope } of this.grants) {
      const { project, organisation } = scope;
      if (project !== undefined) names.add(project);
      else if (organisation !== undefined) for (const name of this.#roles.projectsOf(organisation)) names.add(name);
      else return undefined;
    }
    return [...names].sort();
  }

  /** Whether these are the same rights, whatever became of roles since. */
  equal(other: Rights): boolean {
    return this.#roles === other.#roles && keyOf(this) === keyOf(other);
  }

  #at(place: Place): Permissions {
    const scopes = enclosing(place, this.#roles);
    const key = scopes.join("\n");
    const known = this.#byPlace.get(key);
    if (known !== undefined) return known;
    const given = this.#permissions(scopes);
    if (this.#byPlace.size >= maxPlaces) this.#byPlace.clear();
    this.#byPlace.set(key, given);
    return given;
  }

  #permissions(scopes: readonly string[]): Permissions {
    const given = this.#roles.permissions(scopes.flatMap((scope) => this.#byScope.get(scope) ?? []));
    const { limit } = this;
    if (limit === undefined) return given;
    if (!scopes.includes(placeKey(limit.scope))) return this.#roles.permissions([]);
    const limited = this.#roles.permissions([limit.role]);
    return { has: (verb, kind) => given.has(verb, kind) && limited.has(verb, kind) };
  }
}

function keyOf({ grants, limit }: Rights): string {
  const one = ({ role, scope }: Grant): string => `${role} ${placeKey(scope)}`;
  return JSON.stringify([grants.map(one).sort(), limit === undefined ? "" : one(limit)]);
}
