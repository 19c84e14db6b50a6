import { SkerryError } from "@skerry/model";

/** Deeper than any document of ours; keeps code that follows a document down from running out of stack. */
const maxDepth = 32;

/**
 * Parses a request's JSON; undefined for an empty body.
 * @throws SkerryError invalid-request for what is not JSON, is nested too deep or tries to reach prototypes
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
  checkShape(value);
  return value;
}

function checkShape(value: unknown, depth = 0): void {
  if (depth > maxDepth) {
    throw new SkerryError("invalid-request", `The body is nested deeper than ${maxDepth} levels.`);
  }
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) {
    for (const inner of value) checkShape(inner, depth + 1);
    return;
  }
  const fields = value as Readonly<Record<string, unknown>>;
  for (const name in fields) {
    if (name === "__proto__") throw new SkerryError("invalid-request", "The body has a field named __proto__.");
    checkShape(fields[name], depth + 1);
  }
}
