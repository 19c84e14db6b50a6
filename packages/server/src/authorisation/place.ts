import type { KindName, ResourceOf } from "@skerry/model";

/**
 * Where a thing lives: in a project, in an organisation beside its projects, at a provider, or in the zone where all are absent. A
 * scope that a role is given for is one too.
 */
export interface Place {
  readonly project?: string | undefined;
  readonly organisation?: string | undefined;
  readonly provider?: string | undefined;
}

/** What tells where things are that don't say it themselves. */
export interface Atlas {
  /** The organisation of a project; undefined where there is no such project. */
  organisationOf(project: string): string | undefined;
  /** The provider of a site. */
  providerOf(site: string): string | undefined;
}

/** Where a resource lives; an operation lives where its subject does, unless it touches another project as well. */
export function placeOf(resource: ResourceOf<KindName>, atlas: Atlas): Place {
  const { name } = resource.metadata;
  switch (resource.kind) {
    case "Organisation":
      return { organisation: name };
    case "Project":
      return { project: name, organisation: resource.spec.organisation };
    case "Provider":
      return { provider: name };
    case "Site":
      return { provider: resource.spec.provider };
    case "Node":
    case "JoinToken":
      return { provider: atlas.providerOf(resource.spec.site) };
    case "RoleBinding": {
      const { project, organisation, provider } = resource.spec;
      return { project, organisation, provider };
    }
    case "ApiToken": {
      const { project, owner } = resource.spec;
      return { project: project ?? owner?.project };
    }
    case "Operation": {
      const [subject, ...others] = resource.spec.targets.map(({ kind, name: target, project }) =>
        kind === "Project" ? target : project,
      );
      // Nodes, which are in no project, are told to whoever may see what is on them.
      return others.every((project) => project === undefined || project === subject) ? { project: subject } : {};
    }
    case "Image":
    case "Volume":
    case "Network":
    case "Instance":
    case "ServiceAccount":
    case "Meter":
    case "DisruptionBudget":
      return { project: resource.metadata.project };
    case "User":
    case "Group":
    case "Role":
    case "IdentityProvider":
      return {};
  }
}

/** Where things of a kind may live whose own words tell where; others live in their project, or in the zone. */
const homes: Partial<Record<KindName, readonly (keyof Place)[]>> = {
  Project: ["organisation"],
  Site: ["provider"],
  Node: ["provider"],
  JoinToken: ["provider"],
  ApiToken: ["project"],
  RoleBinding: ["project", "organisation", "provider"],
  Operation: ["project"],
};

/** Whether a thing of that kind may be there, wherever in a scope. */
export function mayBeIn(kind: KindName, scope: Place): boolean {
  const key = placeKey(scope);
  return key === "" || homes[kind]?.some((home) => scope[home] !== undefined) === true;
}

/** A place as a key: equal places have equal ones. */
export function placeKey({ project, organisation, provider }: Place): string {
  if (project !== undefined) return `project ${project}`;
  if (organisation !== undefined) return `organisation ${organisation}`;
  return provider === undefined ? "" : `provider ${provider}`;
}

/** The keys of a place and of all that enclose it, the zone last. */
export function enclosing(place: Place, atlas: Atlas): readonly string[] {
  const { project, provider } = place;
  const organisation = place.organisation ?? (project === undefined ? undefined : atlas.organisationOf(project));
  const keys: string[] = [];
  if (project !== undefined) keys.push(placeKey({ project }));
  if (organisation !== undefined) keys.push(placeKey({ organisation }));
  if (provider !== undefined) keys.push(placeKey({ provider }));
  keys.push(placeKey({}));
  return keys;
}
