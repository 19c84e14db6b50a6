import { kinds, type KindName } from "@skerry/model";
import type { Column } from "./output/table.ts";

export interface FieldRow {
  readonly path: string;
  readonly type: string;
  readonly required: boolean;
  readonly note: string;
}

export const fieldColumns: readonly Column<FieldRow>[] = [
  { title: "FIELD", cell: (row) => row.path },
  { title: "TYPE", cell: (row) => row.type },
  { title: "NEEDED", cell: (row) => (row.required ? "yes" : "") },
  { title: "NOTE", cell: (row) => row.note },
];

interface JsonSchema {
  readonly type?: string | undefined;
  readonly enum?: readonly unknown[] | undefined;
  readonly anyOf?: readonly JsonSchema[] | undefined;
  readonly properties?: Readonly<Record<string, JsonSchema>> | undefined;
  readonly required?: readonly string[] | undefined;
  readonly items?: JsonSchema | undefined;
  readonly description?: string | undefined;
  readonly minimum?: number | undefined;
  readonly maximum?: number | undefined;
}

/** The fields of a kind's spec, from its schema, depth first. */
export function fieldsOf(kind: KindName): FieldRow[] {
  return walk(kinds[kind].spec, "spec");
}

function walk(schema: JsonSchema, path: string): FieldRow[] {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const here = `${path}.${name}`;
    const row = { path: here, type: typeName(property), required: required.has(name), note: noteOf(property) };
    const whole = property.type === "array" ? property.items : property;
    // Of several shapes, the one that has fields.
    const inner = whole?.anyOf?.find(({ properties }) => properties !== undefined) ?? whole;
    return [
      row,
      ...(inner?.properties === undefined ? [] : walk(inner, property.type === "array" ? `${here}[]` : here)),
    ];
  });
}

function typeName(schema: JsonSchema): string {
  if (schema.properties !== undefined) return "object";
  if (schema.enum !== undefined) return schema.enum.join(" | ");
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeName).join(" | ");
  if (schema.type === "array") return `${typeName(schema.items ?? {})}[]`;
  return schema.type ?? "any";
}

function noteOf(schema: JsonSchema): string {
  const range =
    schema.minimum === undefined && schema.maximum === undefined
      ? ""
      : `${schema.minimum ?? ""}..${schema.maximum ?? ""}`;
  return [range, schema.description ?? ""].filter((part) => part !== "").join(" ");
}
