import type { ApiTokenResource, KindName, ResourceOf, RoleBindingResource } from "@skerry/model";
import type { ChangeEvent, Store, Tracker, View } from "@skerry/store";
import { RoleBook } from "./role-book.ts";
import { Rights, type Grant, type Roles } from "./rights.ts";

const defaultKnown = 10_000;

type Subject = RoleBindingResource["spec"]["subjects"][number];

/**
 * Who may do what, as of the newest state, durable or in flight, so that a right that is taken is gone at once: role bindings by whom
 * they are for, groups by member, and where things are. Kept up with each change; a change of anything else costs a comparison.
 */
export class RightsIndex implements Tracker {
  /** By subject, then by binding. */
  #bindings = new Map<string, Map<string, Grant>>();
  /** By binding, whom it is for. */
  #subjectsOf = new Map<string, readonly string[]>();
  #groups = new Map<string, ReadonlySet<string>>();
  #groupsOf = new Map<string, Set<string>>();
  /** Users and service accounts, and whether they are let in. */
  #accounts = new Map<string, boolean>();
  #organisations = new Map<string, string>();
  #projects = new Map<string, Set<string>>();
  #providers = new Map<string, string>();
  #policies = new Map<string, string>();
  #roles = this.#rolesNow();
  /** Rights that were asked for since anything last changed them, by token; and those that were not asked for since it was full. */
  #known = new Map<string, Rights>();
  #before = new Map<string, Rights>();
  readonly #mostKnown: number;
  readonly #stop: () => void;

  /** @param mostKnown of how many tokens rights are remembered; those that asked longest ago are found anew beyond */
  constructor(store: Pick<Store, "track">, mostKnown = defaultKnown) {
    this.#mostKnown = mostKnown;
    this.#stop = store.track(this);
  }

  close(): void {
    this.#stop();
  }

  /** Of whoever shows this token; undefined where its owner is gone or disabled. */
  of({ metadata, spec }: ApiTokenResource): Rights | undefined {
    const { role, project, owner } = spec;
    const scope = project === undefined ? {} : { project };
    if (owner === undefined)
      return role === undefined
        ? undefined
        : this.#remember(metadata.id, () => this.#rights([{ role: zoneWide(role, project), scope }]));
    const limit = role === undefined && project === undefined ? undefined : { role: role ?? "platform-admin", scope };
    const subject = subjectKey(owner);
    if (this.#accounts.get(subject) !== true) return undefined;
    return this.#remember(metadata.id, () => this.#rights(this.#grantsOf(owner), limit));
  }

  /** All that a user, group or service account was given, a user's groups included. */
  grantsOf(subject: Subject): readonly Grant[] {
    return this.#grantsOf(subject);
  }

  /**
   * What a user may do, by a token without limits.
   * @param joined groups that a transaction under way has put them into (true) or out of
   */
  ofUser(name: string, joined: ReadonlyMap<string, boolean> = new Map()): Rights {
    return this.#rights(this.#grantsOf({ kind: "User", name }, joined));
  }

  /** Of how many tokens rights are remembered. */
  get remembered(): number {
    return this.#known.size + this.#before.size;
  }

  get roles(): Roles {
    return this.#roles;
  }

  reset(newest: View): void {
    this.#bindings = new Map();
    this.#subjectsOf = new Map();
    this.#groups = new Map();
    this.#groupsOf = new Map();
    this.#accounts = new Map();
    this.#organisations = new Map();
    this.#projects = new Map();
    this.#providers = new Map();
    this.#policies = new Map();
    const kinds = ["Project", "Site", "User", "ServiceAccount", "Group", "Role", "RoleBinding"] as const;
    for (const kind of kinds) for (const object of newest.scan(kind)) this.#put(object);
    this.#changed(true);
  }

  applied(events: readonly ChangeEvent[]): void {
    for (const { type, object } of events)
      if (type === "deleted") this.#remove(object);
      else this.#put(object);
  }

  #put(object: ResourceOf<KindName>): void {
    const { id, name, project } = object.metadata;
    switch (object.kind) {
      case "Project":
        return this.#placeProject(name, object.spec.organisation);
      case "Site":
        return void this.#providers.set(name, object.spec.provider);
      case "User":
      case "ServiceAccount": {
        const key = subjectKey({ kind: object.kind, name, project });
        const isLetIn = object.spec.disabled !== true;
        // Credentials change with each sign-in, rights don't.
        if (this.#accounts.get(key) === isLetIn) return undefined;
        this.#accounts.set(key, isLetIn);
        return this.#changed();
      }
      case "Group":
        this.#setMembers(name, object.spec.members);
        return this.#changed();
      case "Role":
        this.#policies.set(name, object.spec.policies);
        return this.#changed(true);
      case "RoleBinding":
        this.#unbind(id);
        this.#bind(id, object);
        return this.#changed();
      default:
    }
  }

  #remove(object: ResourceOf<KindName>): void {
    const { id, name, project } = object.metadata;
    switch (object.kind) {
      case "Project":
        this.#projects.get(object.spec.organisation)?.delete(name);
        return void this.#organisations.delete(name);
      case "Site":
        return void this.#providers.delete(name);
      case "User":
      case "ServiceAccount":
        this.#accounts.delete(subjectKey({ kind: object.kind, name, project }));
        return this.#changed();
      case "Group":
        this.#setMembers(name, []);
        return this.#changed();
      case "Role":
        this.#policies.delete(name);
        return this.#changed(true);
      case "RoleBinding":
        this.#unbind(id);
        return this.#changed();
      case "ApiToken":
        return this.#forget(id);
      default:
    }
  }

  #placeProject(name: string, organisation: string): void {
    this.#organisations.set(name, organisation);
    const others = this.#projects.get(organisation) ?? new Set();
    others.add(name);
    this.#projects.set(organisation, others);
  }

  #setMembers(group: string, members: readonly string[]): void {
    for (const member of this.#groups.get(group) ?? []) this.#groupsOf.get(member)?.delete(group);
    this.#groups.set(group, new Set(members));
    for (const member of members) {
      const groups = this.#groupsOf.get(member) ?? new Set();
      groups.add(group);
      this.#groupsOf.set(member, groups);
    }
  }

  #bind(id: string, { spec }: RoleBindingResource): void {
    const { role, subjects, project, organisation, provider } = spec;
    const grant = { role, scope: { project, organisation, provider } };
    const keys = subjects.map(subjectKey);
    for (const key of keys) {
      const own = this.#bindings.get(key) ?? new Map<string, Grant>();
      own.set(id, grant);
      this.#bindings.set(key, own);
    }
    this.#subjectsOf.set(id, keys);
  }

  #unbind(id: string): void {
    for (const key of this.#subjectsOf.get(id) ?? []) this.#bindings.get(key)?.delete(id);
    this.#subjectsOf.delete(id);
  }

  #grantsOf(subject: Subject, joined: ReadonlyMap<string, boolean> = new Map()): readonly Grant[] {
    const keys = [subjectKey(subject)];
    if (subject.kind === "User") {
      const groups = new Set(this.#groupsOf.get(subject.name));
      for (const [group, isIn] of joined) {
        if (isIn) groups.add(group);
        else groups.delete(group);
      }
      for (const group of groups) keys.push(subjectKey({ kind: "Group", name: group }));
    }
    return keys.flatMap((key) => [...(this.#bindings.get(key)?.values() ?? [])]);
  }

  #rights(grants: readonly Grant[], limit?: Grant): Rights {
    return new Rights(grants, limit, this.#roles);
  }

  #remember(id: string, make: () => Rights): Rights {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const rights = this.#before.get(id) ?? make();
    if (this.#known.size >= this.#mostKnown / 2) {
      this.#before = this.#known;
      this.#known = new Map();
    }
    this.#known.set(id, rights);
    return rights;
  }

  #forget(id: string): void {
    this.#known.delete(id);
    this.#before.delete(id);
  }

  #changed(roles = false): void {
    this.#known.clear();
    this.#before.clear();
    if (roles) this.#roles = this.#rolesNow();
  }

  #rolesNow(): Roles {
    const book = new RoleBook(this.#policies);
    return {
      permissions: (names) => book.permissions(names),
      prohibitions: (name) => book.prohibitions(name),
      organisationOf: (project) => this.#organisations.get(project),
      providerOf: (site) => this.#providers.get(site),
      projectsOf: (organisation) => [...(this.#projects.get(organisation) ?? [])],
    };
  }
}

/** An admin of the whole zone is its platform's. */
function zoneWide(role: string, project: string | undefined): string {
  return role === "admin" && project === undefined ? "platform-admin" : role;
}

interface Named {
  readonly kind: string;
  readonly name: string;
  readonly project?: string | undefined;
}

function subjectKey({ kind, name, project = "" }: Named): string {
  return `${kind} ${project} ${name}`;
}
