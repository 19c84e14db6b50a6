import { kindNames, kinds, namePattern, type KindName } from "@skerry/model";
import { readFieldComments, type SchemaComments } from "./field-comments.ts";
import { markdownTable } from "./table.ts";

interface JsonSchema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>;
  readonly description?: string;
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
}

/** Every field of every kind. */
export function kindsPage(): string {
  const comments = readFieldComments();
  const sections = kindNames.map((kind) => section(kind, comments));
  return `# Kinds

Every resource has \`kind\`, \`metadata\` (name, project, id, revision, generation, labels, times), \`spec\` (what was asked for) and \`status\`
(what was seen); what lives on a node also has \`assignment\` (where the server put it, and why). Clients write \`metadata.labels\` and
\`spec\`; all else is the server's.

${sections.join("\n\n")}
`;
}

function section(kind: KindName, comments: ReadonlyMap<string, SchemaComments>): string {
  const { plural, scope, spec, status, assignment } = kinds[kind] as (typeof kinds)["Instance"];
  const where = scope === "project" ? `/api/v1/projects/{project}/${plural}` : `/api/v1/${plural}`;
  const parts = [
    { title: "spec", schema: spec },
    { title: "assignment", schema: assignment },
    { title: "status", schema: status },
  ];
  const tables = parts.flatMap(({ title, schema }) => {
    if (schema === undefined) return [];
    const rows = fields(schema as JsonSchema, "", { name: kind, prefix: title }, comments);
    return rows.length === 0
      ? []
      : [`**${title}**\n\n${markdownTable(["field", "type", "needed", "what it is"], rows)}`];
  });
  return [`## ${kind}`, `\`${where}\``, ...tables].join("\n\n");
}

/** Where in the sources a schema's comments are: a constant, and the path within it. */
interface Origin {
  readonly name: string;
  readonly prefix: string;
}

function fields(
  schema: JsonSchema,
  path: string,
  origin: Origin,
  comments: ReadonlyMap<string, SchemaComments>,
): string[][] {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    // Kept by the server, shown to nobody.
    if (name === "secretHash" || name === "credentials") return [];
    const here = path === "" ? name : `${path}.${name}`;
    const at = resolve(
      { name: origin.name, prefix: origin.prefix === "" ? name : `${origin.prefix}.${name}` },
      comments,
    );
    const own = isName(property) ? "" : (property.description ?? "");
    const note = [at.comment ?? own, limitsOf(property)].filter((text) => text !== "").join(" ");
    const inner = property.type === "array" ? property.items : property;
    const row = [`\`${here}\``, typeOf(property), required.has(name) ? "yes" : "", note];
    const deeper =
      inner?.properties === undefined
        ? []
        : fields(inner, property.type === "array" ? `${here}[]` : here, at.origin, comments);
    return [row, ...deeper];
  });
}

/** A field's comment, and where those of its own fields are: behind a reference, in the constant that it names. */
function resolve(
  origin: Origin,
  comments: ReadonlyMap<string, SchemaComments>,
): { readonly comment: string | undefined; readonly origin: Origin } {
  const own = comments.get(origin.name);
  const reference = own?.references.get(origin.prefix);
  const [top = "", ...rest] = origin.prefix.split(".");
  const whole = rest.length > 0 ? own?.references.get(top) : undefined;
  if (whole !== undefined && comments.has(whole)) return resolve({ name: whole, prefix: rest.join(".") }, comments);
  const spread = [...(own?.references ?? [])].find(([key]) => key.startsWith(" ..."))?.[1];
  const comment = own?.comments.get(origin.prefix);
  if (comment === undefined && reference === undefined && spread !== undefined && comments.get(spread) !== undefined) {
    return resolve({ name: spread, prefix: origin.prefix }, comments);
  }
  return {
    comment,
    origin: reference !== undefined && comments.has(reference) ? { name: reference, prefix: "" } : origin,
  };
}

function isName(schema: JsonSchema): boolean {
  return schema.pattern === namePattern;
}

function typeOf(schema: JsonSchema): string {
  if (isName(schema)) return "name";
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${String(value)}\``).join(", ");
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeOf).join(" or ");
  if (schema.type === "array") return `list of ${typeOf(schema.items ?? {})}`;
  if (schema.patternProperties !== undefined) return "map";
  return schema.format ?? schema.type ?? "any";
}

function limitsOf({ minimum, maximum, maxLength }: JsonSchema): string {
  const range = minimum === undefined && maximum === undefined ? "" : `${minimum ?? ""} to ${maximum ?? "any"}.`;
  return [range, maxLength === undefined ? "" : `At most ${maxLength} characters.`]
    .filter((text) => text !== "")
    .join(" ");
}
