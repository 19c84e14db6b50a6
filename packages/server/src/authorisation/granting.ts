import { SkerryError } from "@skerry/model";
import { scopeWords } from "./authorise.ts";
import { enclosing, placeKey, type Atlas, type Place } from "./place.ts";
import type { Permissions } from "./policies.ts";
import type { Grant, Rights } from "./rights.ts";

/**
 * The one guard of giving rights and of taking them, by a binding, a token or a membership: whoever does must have all that the roles
 * permit, where they hold. And all that they forbid: to lift what is forbidden is to give, and nobody does who is held by it.
 * @param giver undefined: the server itself
 * @throws SkerryError forbidden
 */
export function requireCover(giver: Rights | undefined, given: readonly Grant[]): void {
  const beyond = giver === undefined ? undefined : given.find((grant) => !giver.cover(grant));
  if (beyond === undefined) return;
  throw new SkerryError(
    "forbidden",
    `This would give, or take, what you do not have yourself: ${beyond.role} ${scopeWords(beyond.scope)}.`,
    { remedy: "Use a role that permits and forbids no more than yours permits, or ask somebody who has it." },
  );
}

/**
 * The same of what a role says of itself. It may be given anywhere: whoever writes it must be able to do all of it in the whole zone.
 * @throws SkerryError forbidden
 */
export function requireCoverOf(giver: Rights | undefined, decided: readonly Permissions[]): void {
  const lacking = giver?.lacks(decided, {});
  if (lacking === undefined) return;
  throw new SkerryError(
    "forbidden",
    `This would permit, or forbid, what you may not do yourself in the whole zone: ${lacking.verb} of ${lacking.kind}.`,
    { remedy: "Leave it out, or ask somebody who may." },
  );
}

/**
 * To forbid somebody something is to take it from them, and nobody takes from whoever has more than they have: of all that those who come
 * under it were given, where it holds, around that and within it.
 * @param scope where something is to be forbidden
 * @param held what they were given, whoever they are
 * @throws SkerryError forbidden
 */
export function requireSway(forbidder: Rights | undefined, scope: Place, held: readonly Grant[]): void {
  if (forbidder === undefined) return;
  const beyond = held.find((grant) => meet(grant.scope, scope, forbidder) && !forbidder.cover(grant));
  if (beyond === undefined) return;
  throw new SkerryError(
    "forbidden",
    `This would forbid something to whoever has what you do not have yourself: ${beyond.role} ${scopeWords(beyond.scope)}.`,
    { remedy: "Ask somebody who has it." },
  );
}

/** Whether one is in the other. */
function meet(one: Place, other: Place, atlas: Atlas): boolean {
  return enclosing(one, atlas).includes(placeKey(other)) || enclosing(other, atlas).includes(placeKey(one));
}
