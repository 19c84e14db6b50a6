import { SkerryError } from "@skerry/model";
import { scopeWords } from "./authorise.ts";
import type { Grant, Rights } from "./rights.ts";

/**
 * The one guard of giving rights away: by a binding, a token, a membership or a role's own policies. Whoever gives must have all that is
 * given, where it is given. @param giver undefined: the server itself
 * @throws SkerryError forbidden
 */
export function requireCover(giver: Rights | undefined, given: readonly Grant[]): void {
  const beyond = giver === undefined ? undefined : given.find((grant) => !giver.cover(grant));
  if (beyond === undefined) return;
  throw new SkerryError(
    "forbidden",
    `This would give what you do not have yourself: ${beyond.role} ${scopeWords(beyond.scope)}.`,
    { remedy: "Give a role that permits no more than yours, or ask somebody who has it." },
  );
}
