import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseSync, type Comment } from "oxc-parser";
import { checkout } from "../checkout.ts";

/** What is needed of a syntax tree's nodes. */
interface Syntax {
  readonly type: string;
  readonly start: number;
  readonly name?: string;
  readonly [key: string]: unknown;
}

/** Comments of the fields of one schema: by `diskMiB` or, deeper, `ssh.user`; `"": schema` names another schema. */
export interface SchemaComments {
  readonly comments: ReadonlyMap<string, string>;
  /** By field: the name of the schema that it is made of. */
  readonly references: ReadonlyMap<string, string>;
}

/** The comments that stand before fields in the model's sources, by the constant that a schema is bound to. */
export function readFieldComments(): ReadonlyMap<string, SchemaComments> {
  const schemas = new Map<string, SchemaComments>();
  for (const file of globSync("packages/model/src/**/*.ts", { cwd: checkout }).toSorted()) {
    const text = readFileSync(join(checkout, file), "utf8");
    const { program, comments } = parseSync(file, text);
    for (const [name, value] of constantsOf(program as unknown as Syntax)) {
      const collected = { comments: new Map<string, string>(), references: new Map<string, string>() };
      collect(value, "", collected, text, comments);
      schemas.set(name, collected);
    }
  }
  return schemas;
}

function* constantsOf(program: Syntax): Generator<[string, Syntax]> {
  for (const statement of list(program["body"])) {
    const declaration = node(statement["declaration"]) ?? statement;
    for (const declarator of list(declaration["declarations"])) {
      const name = node(declarator["id"])?.name;
      const value = node(declarator["init"]);
      if (name !== undefined && value !== undefined) yield [name, value];
    }
  }
}

interface Collected {
  readonly comments: Map<string, string>;
  readonly references: Map<string, string>;
}

/** Follows calls such as `optional(Type.Array(strict({…})))` down to the object of fields. */
function collect(value: Syntax, path: string, into: Collected, text: string, comments: readonly Comment[]): void {
  if (value.type === "Identifier" && value.name !== undefined) into.references.set(path, value.name);
  if (value.type === "CallExpression")
    for (const argument of list(value["arguments"])) collect(argument, path, into, text, comments);
  if (value.type !== "ObjectExpression") return;
  for (const property of list(value["properties"])) {
    const inner = node(property["value"]);
    const key = node(property["key"])?.name;
    if (inner === undefined || key === undefined) {
      const spread = node(node(property["argument"])?.["object"])?.name;
      if (spread !== undefined) into.references.set(`${path} ...${spread}`, spread);
      continue;
    }
    const here = path === "" ? key : `${path}.${key}`;
    const comment = commentBefore(property.start, text, comments);
    if (comment !== undefined) into.comments.set(here, comment);
    collect(inner, here, into, text, comments);
  }
}

function commentBefore(start: number, text: string, comments: readonly Comment[]): string | undefined {
  const comment = comments.findLast(({ end }) => end <= start && text.slice(end, start).trim() === "");
  if (comment === undefined || comment.type !== "Block" || !comment.value.startsWith("*")) return undefined;
  return comment.value
    .slice(1)
    .replaceAll(/\s*\n\s*\*?\s*/g, " ")
    .trim();
}

function node(value: unknown): Syntax | undefined {
  return typeof value === "object" && value !== null && "type" in value ? (value as Syntax) : undefined;
}

function list(value: unknown): readonly Syntax[] {
  return Array.isArray(value) ? value.flatMap((item) => node(item) ?? []) : [];
}
