import { SkerryError, fieldName, kindWord, type KindName } from "@skerry/model";

/** A field that does not hold what it must: 400 with its JSON pointer. */
export function invalidField(path: string, message: string, remedy?: string): SkerryError {
  return new SkerryError("invalid-request", `${fieldName(path)} ${message}.`, {
    errors: [{ path, message }],
    ...(remedy === undefined ? {} : { remedy }),
  });
}

/** A reference to something that is not there. */
export function missingReference(path: string, kind: KindName, name: string): SkerryError {
  return invalidField(
    path,
    `names the ${kindWord(kind)} ${name}, which does not exist`,
    `Create it first, or see what there is: skerry ${kindWord(kind)} list`,
  );
}

export function inUse(what: string, users: readonly string[], remedy: string): SkerryError {
  const shown = users.slice(0, 5).join(", ");
  const more = users.length > 5 ? ` and ${users.length - 5} more` : "";
  return new SkerryError("in-use", `${what} is still used by ${shown}${more}.`, {
    remedy,
    facts: { users: users.slice(0, 100) },
  });
}

export function conflict(detail: string, remedy: string, facts?: Readonly<Record<string, unknown>>): SkerryError {
  return new SkerryError("conflict", detail, { remedy, ...(facts === undefined ? {} : { facts }) });
}

/** @throws SkerryError conflict where one of the named spec fields was changed */
export function refuseChanges<S extends object>(
  before: S,
  after: S,
  fields: readonly (keyof S & string)[],
  why: string,
): void {
  const changed = fields.filter((field) => JSON.stringify(before[field]) !== JSON.stringify(after[field]));
  if (changed.length === 0) return;
  throw conflict(
    `${changed.map((field) => `spec.${field}`).join(", ")} can not be changed: ${why}.`,
    "Create a new one with the other value, and delete this one.",
    {
      fields: changed,
    },
  );
}
