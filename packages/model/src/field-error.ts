import type { TSchema } from "typebox";

/* What is wrong with a field, in words for people: a schema's `description` says what a text must be, where it has a pattern. */

/** As the schema library tells it. */
export interface SchemaError {
  readonly keyword: string;
  readonly schemaPath: string;
  readonly instancePath: string;
  readonly params: object;
  readonly message: string;
}

export interface FieldError {
  /** JSON pointer. */
  readonly path: string;
  readonly message: string;
}

/** `/spec/placement/countries/0` as people write it: `spec.placement.countries[0]`; the whole is `it`. */
export function fieldName(pointer: string): string {
  const parts = partsOf(pointer);
  if (parts.length === 0) return "it";
  return parts.map((part, index) => (/^\d+$/.test(part) ? `[${part}]` : index === 0 ? part : `.${part}`)).join("");
}

/** The first of what is wrong, each field once for each reason. */
export function fieldErrors(schema: TSchema, errors: readonly SchemaError[], limit: number): FieldError[] {
  const unions = errors.filter(({ keyword }) => keyword === "anyOf");
  return errors
    .filter((error) => error.keyword !== "boolean" && !isBranch(error, unions))
    .filter((error) => error.keyword !== "anyOf" || !hasDeeper(error, errors))
    .slice(0, limit)
    .map((error) => ({ path: error.instancePath === "" ? "/" : error.instancePath, message: describe(schema, error) }));
}

/** That a branch of a union does not fit the whole says nothing; that a field within it is wrong does. */
function isBranch(error: SchemaError, unions: readonly SchemaError[]): boolean {
  return unions.some(
    ({ schemaPath, instancePath }) =>
      error.schemaPath.startsWith(`${schemaPath}/anyOf/`) && error.instancePath === instancePath,
  );
}

function hasDeeper(union: SchemaError, errors: readonly SchemaError[]): boolean {
  return errors.some(
    ({ schemaPath, instancePath }) =>
      schemaPath.startsWith(`${union.schemaPath}/anyOf/`) && instancePath !== union.instancePath,
  );
}

function describe(schema: TSchema, { keyword, schemaPath, params, message }: SchemaError): string {
  const values = params as Readonly<Record<string, unknown>>;
  const words = (key: string): string => (Array.isArray(values[key]) ? values[key].join(", ") : "?");
  const limit = String(values["limit"]);
  const at = schemaAt(schema, schemaPath);
  switch (keyword) {
    case "pattern":
      return at?.description === undefined ? "has a form that is not allowed" : `must be ${at.description}`;
    case "format":
      return values["format"] === "date-time" ? "must be a moment such as 2026-01-31T12:00:00Z" : message;
    case "enum":
      return `must be one of: ${words("allowedValues")}`;
    case "anyOf":
      return `must be ${(at?.anyOf ?? []).map(shapeOf).join(", or ")}`;
    case "type":
      return `must be ${typeWords[String(values["type"])] ?? String(values["type"])}`;
    case "required":
      return `lacks ${words("requiredProperties")}`;
    case "additionalProperties":
      if (at?.patternProperties !== undefined)
        return `has keys of a form that is not allowed: ${words("additionalProperties")}`;
      return `has unknown fields: ${words("additionalProperties")}`;
    case "minimum":
      return `must be at least ${limit}`;
    case "maximum":
      return `must be at most ${limit}`;
    case "exclusiveMinimum":
      return `must be more than ${limit}`;
    case "minLength":
    case "maxLength":
      return `must have at ${keyword === "minLength" ? "least" : "most"} ${limit} characters`;
    case "minItems":
    case "maxItems":
    case "minProperties":
    case "maxProperties":
      return `must have at ${keyword.startsWith("min") ? "least" : "most"} ${limit} of them`;
    case "uniqueItems":
      return "must name each only once";
    default:
      return message;
  }
}

const typeWords: Readonly<Record<string, string>> = {
  integer: "a whole number",
  number: "a number",
  string: "text",
  boolean: "true or false",
  array: "a list",
  object: "a group of fields",
};

interface AnySchema {
  readonly description?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly AnySchema[];
  readonly patternProperties?: object;
  readonly properties?: Readonly<Record<string, AnySchema>>;
}

function shapeOf(schema: AnySchema): string {
  if (schema.enum !== undefined) return schema.enum.join(" or ");
  if (schema.properties !== undefined) return `{ ${Object.keys(schema.properties).join(", ")} }`;
  return typeWords[schema.type ?? ""] ?? "something else";
}

/** The schema at `#/properties/spec/…`; undefined where nothing is there. */
function schemaAt(schema: TSchema, path: string): AnySchema | undefined {
  const found = partsOf(path.replace(/^#/, "")).reduce<unknown>(
    (value, part) =>
      typeof value === "object" && value !== null ? (value as Record<string, unknown>)[part] : undefined,
    schema,
  );
  return typeof found === "object" && found !== null ? found : undefined;
}

function partsOf(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .filter((part) => part !== "")
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}
