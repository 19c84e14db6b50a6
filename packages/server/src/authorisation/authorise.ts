import { SkerryError, kindWord, type KindName, type ResourceOf } from "@skerry/model";
import type { Key, StoredDocument } from "@skerry/store";
import { placeKey, placeOf, type Place } from "./place.ts";
import type { Principal } from "./principal.ts";
import type { Rights } from "./rights.ts";
import type { Verb } from "./verbs.ts";

/** `hidden` is answered like something that is not there. */
export type Decision = "allowed" | "hidden" | "forbidden";

/** The one place that says who may do what: what no role permits there is forbidden, and hidden where it may not even be read. */
export function decide({ rights }: Principal, verb: Verb, kind: KindName, place: Place): Decision {
  if (rights.allow(verb, kind, verb === "read" ? place : around(kind, place, rights))) return "allowed";
  return rights.allow("read", kind, place) ? "forbidden" : "hidden";
}

/** What holds others is changed from outside: nobody raises their own quota, or gives their project to another organisation. */
function around(kind: KindName, place: Place, rights: Rights): Place {
  if (kind === "Organisation" || kind === "Provider") return {};
  if (kind !== "Project" || place.project === undefined) return place;
  return { organisation: place.organisation ?? rights.organisationOf(place.project) };
}

/**
 * @param key its name may be empty: for all of a project, or of the zone
 * @param place undefined for what is not there, and of which only its body would tell where it will be: let through where there is any
 * place for it, since it is asked again once it is known (`authoriseWish`)
 * @throws SkerryError not-found where the principal may not know of it, forbidden where it may not do it
 */
export function authorise(principal: Principal, verb: Verb, kind: KindName, place: Place | undefined, key: Key): void {
  if (place === undefined && principal.rights.allowSomewhere(verb, kind)) return;
  const decision = decide(principal, verb, kind, place ?? {});
  if (decision === "allowed") return;
  if (decision === "hidden" && isLikeNothing(principal, verb, kind, key)) return;
  const namesNothing = key.name === "" && key.project === undefined;
  if (decision === "forbidden" || namesNothing) throw forbidden(principal, verb, kind, place ?? {});
  throw key.name === "" ? notFound("Project", { name: key.project ?? "" }) : notFound(kind, key);
}

/**
 * What lives in no project, and tells its place itself, is let through where it would be if it were not there: its transaction answers
 * for both alike, down to what is said of a wrong body (`isHidden`). Nothing is read that way.
 */
function isLikeNothing({ rights }: Principal, verb: Verb, kind: KindName, key: Key): boolean {
  const isWrite = verb === "put" || verb === "patch" || verb === "delete" || verb === "act";
  return isWrite && key.project === undefined && key.name !== "" && rights.allowSomewhere(verb, kind);
}

/** Whether a resource must be answered for as if it were not there. */
export function isHidden(principal: Principal, verb: Verb, resource: ResourceOf<KindName>): boolean {
  return decide(principal, verb, resource.kind, placeOf(resource, principal.rights)) === "hidden";
}

/** The same of a resource as it is, within the transaction that changes it: it may be elsewhere by now than the guard at the door saw. */
export function authoriseChange(principal: Principal, verb: Verb, resource: ResourceOf<KindName>): void {
  authorise(principal, verb, resource.kind, placeOf(resource, principal.rights), resource.metadata);
}

/** The same of what a write was answered with, that is asked for once more: whoever may not know of it by now is told that it is not there. */
export function authoriseAnswer(principal: Principal, verb: Verb, kind: KindName, place: Place, key: Key): void {
  const decision = decide(principal, verb, kind, place);
  if (decision === "allowed") return;
  throw decision === "hidden" ? notFound(kind, key) : forbidden(principal, verb, kind, place);
}

/** The same of a resource as it would be: whoever says where it is to be is told that they may not put it there. */
export function authoriseWish(principal: Principal, verb: Verb, resource: ResourceOf<KindName>): void {
  const place = placeOf(resource, principal.rights);
  if (decide(principal, verb, resource.kind, place) !== "allowed")
    throw forbidden(principal, verb, resource.kind, place);
}

/** One answer for what is not there and for what may not be known of. */
export function notFound(kind: KindName, key: Key): SkerryError {
  const where = key.project === undefined ? "" : ` in project ${key.project}`;
  const project = key.project === undefined ? "" : ` --project ${key.project}`;
  return new SkerryError("not-found", `There is no ${kind} ${key.name}${where}.`, {
    remedy: `See what there is: skerry ${kindWord(kind)} list${project}`,
  });
}

function forbidden({ name, rights }: Principal, verb: Verb, kind: KindName, place: Place): SkerryError {
  const roles = rights.grants.map(({ role, scope }) => `${role} ${scopeWords(scope)}`);
  const shown = roles.length === 0 ? "no roles" : roles.slice(0, 3).join(", ") + (roles.length > 3 ? ", …" : "");
  return new SkerryError(
    "forbidden",
    `${name} (${shown}) may not ${verb} this ${kindWord(kind)} ${scopeWords(place)}.`,
    {
      remedy:
        "Ask whoever administers it for a role that may: viewer, operator, admin and provider are everywhere, skerry role list shows this zone's own.",
    },
  );
}

export function scopeWords(place: Place): string {
  const key = placeKey(place);
  return key === "" ? "in the zone" : `${key.startsWith("provider") ? "at" : "in"} ${key}`;
}

/** Whether a principal may see a resource: what every list, event and plan is filtered by. */
export function sees(principal: Principal, resource: ResourceOf<KindName>): boolean {
  return principal.rights.allow("read", resource.kind, placeOf(resource, principal.rights));
}

/** The same of a stored document, made into an object only where its key does not tell where it is. */
export function seesDocument(principal: Principal, kind: KindName, document: StoredDocument): boolean {
  const { project, name } = document.key;
  switch (kind) {
    case "Image":
    case "Volume":
    case "Network":
    case "Instance":
    case "ServiceAccount":
    case "DisruptionBudget":
      return principal.rights.allow("read", kind, { project });
    case "Project":
      return principal.rights.allow("read", kind, { project: name });
    default:
      return principal.rights.allow("read", kind, {}) || sees(principal, document.object());
  }
}

/** Whether all of a kind may be seen, wherever it is. */
export function seesAll({ rights }: Principal, kind: KindName): boolean {
  return rights.allow("read", kind, {});
}
