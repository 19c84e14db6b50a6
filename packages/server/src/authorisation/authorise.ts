import { SkerryError, kinds, type KindName, type ResourceOf } from "@skerry/model";
import type { Principal } from "./principal.ts";

/** `connect` opens a byte stream into a guest; `act` asks for an action such as `:migrate`; `backup` reads all, secrets too; `audit` who did what. */
export const verbs = ["read", "put", "patch", "delete", "act", "connect", "upload", "backup", "audit"] as const;
export type Verb = (typeof verbs)[number];

/** Where a thing lives: in a project, or in the zone where `project` is absent. */
export interface Place {
  readonly project?: string | undefined;
}

/** `hidden` is answered like something that is not there. */
export type Decision = "allowed" | "hidden" | "forbidden";

/**
 * The one place that says who may do what; whatever is not allowed here is forbidden.
 * Viewers read; operators also write what lives in projects; admins of the zone do everything. A token of one project
 * sees that project, what is in it and its operations, and nothing else.
 */
export function decide(principal: Principal, verb: Verb, kind: KindName, place: Place): Decision {
  const { role, project } = principal;
  if (project !== undefined && place.project !== project) return "hidden";
  if (verb === "read") return "allowed";
  if (role === "admin" && project === undefined) return "allowed";
  const inProject = place.project !== undefined && (kinds[kind].scope === "project" || kind === "Operation");
  if ((role === "admin" || role === "operator") && inProject) return "allowed";
  return "forbidden";
}

/** @throws SkerryError not-found where the principal may not know of it, forbidden where it may not do it */
export function authorise(principal: Principal, verb: Verb, kind: KindName, place: Place): void {
  const decision = decide(principal, verb, kind, place);
  if (decision === "allowed") return;
  if (decision === "hidden") throw new SkerryError("not-found", `There is no such ${kind}.`);
  const scope = principal.project === undefined ? "" : ` in project ${principal.project}`;
  throw new SkerryError(
    "forbidden",
    `Token ${principal.name} (${principal.role}${scope}) may not ${verb} this ${kind}.`,
    {
      remedy: "Use a token with a role that may: operators write what lives in projects, admins everything.",
    },
  );
}

/** Where a resource lives; an operation lives where its subject does, unless it touches another project as well. */
export function placeOf(resource: ResourceOf<KindName>): Place {
  if (resource.kind === "Project") return { project: resource.metadata.name };
  if (resource.kind === "Operation") {
    const [subject, ...others] = resource.spec.targets.map(({ kind, name, project }) =>
      kind === "Project" ? name : project,
    );
    // Nodes, which are in no project, are told to whoever may see what is on them.
    return others.every((project) => project === undefined || project === subject) ? { project: subject } : {};
  }
  return { project: resource.metadata.project };
}

/** Whether a principal may see a resource: what every list, event and plan is filtered by. */
export function sees(principal: Principal, resource: ResourceOf<KindName>): boolean {
  return decide(principal, "read", resource.kind, placeOf(resource)) === "allowed";
}
