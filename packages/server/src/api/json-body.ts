import { SkerryError } from "@skerry/model";

/** Deeper than any document of ours; keeps code that follows a document down from running out of stack. */
const maxDepth = 32;
/** More than any document of ours has; keep what is done for each of them in bounds that the body's bytes alone do not set. */
const maxFields = 1000;
const maxItems = 10_000;
const maxValues = 50_000;

/**
 * Parses a request's JSON; undefined for an empty body.
 * @throws SkerryError invalid-request for what is not JSON, is nested too deep or tries to reach prototypes, too-large for what has too many parts
 */
export function parseJsonBody(text: string): unknown {
  if (text === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new SkerryError("invalid-request", "The body is not valid JSON.", {
      remedy: "Send one JSON document in UTF-8.",
      cause: error,
    });
  }
  checkShape(value, 0, { values: 0 });
  return value;
}

function checkShape(value: unknown, depth: number, seen: { values: number }): void {
  if (depth > maxDepth) {
    throw new SkerryError("invalid-request", `The body is nested deeper than ${maxDepth} levels.`);
  }
  if (++seen.values > maxValues) throw tooMany(maxValues, "values in all");
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) {
    if (value.length > maxItems) throw tooMany(maxItems, "items in one array");
    for (const inner of value) checkShape(inner, depth + 1, seen);
    return;
  }
  const fields = value as Readonly<Record<string, unknown>>;
  let count = 0;
  for (const name in fields) {
    if (name === "__proto__") throw new SkerryError("invalid-request", "The body has a field named __proto__.");
    if (++count > maxFields) throw tooMany(maxFields, "fields in one object");
    checkShape(fields[name], depth + 1, seen);
  }
}

function tooMany(most: number, what: string): SkerryError {
  return new SkerryError("too-large", `The body has more than ${most} ${what}.`, {
    remedy: "Send it in several requests.",
  });
}
