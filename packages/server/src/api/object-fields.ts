import { Metadata, kinds, type KindName } from "@skerry/model";
import type { TSchema } from "typebox";
import { isPlainObject } from "./merge-patch.ts";

/* What of an object can be owned: its labels and its spec, each as far down as the schema tells what is in it. */

/** The part of an object that clients write. */
export interface Content {
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: object;
}

/**
 * Fields by JSON pointer, with their values. A list is one field, and so is what has several forms (a union): neither says which
 * part of it would be whose. An object without anything in it is a field too.
 */
export type Fields = ReadonlyMap<string, unknown>;

const labelsPath = "/metadata/labels";
const specPath = "/spec";

export function fieldsOf(kind: KindName, { labels, spec }: Partial<Content>): Fields {
  const fields = new Map<string, unknown>();
  for (const [root, schema, value] of [
    [labelsPath, Metadata.properties.labels, labels],
    [specPath, kinds[kind].spec, spec],
  ] as const) {
    for (const [key, inner] of Object.entries(value ?? {}))
      collect(inSchema(schema, key), inner, at(root, key), fields);
  }
  return fields;
}

/** What is left without some fields; the objects that held nothing else go with them. */
export function withoutFields(content: Content, pointers: Iterable<string>): Content {
  const copy = documentOf(content);
  for (const pointer of pointers) remove(copy, partsOf(pointer));
  return contentOf(copy);
}

/** The same with some fields set, all else as it was. */
export function withFields(content: Content, fields: Fields): Content {
  const copy = documentOf(content);
  for (const [pointer, value] of fields) set(copy, partsOf(pointer), value);
  return contentOf(copy);
}

type Tree = Record<string, unknown>;

function documentOf({ labels, spec }: Content): Tree {
  return structuredClone({ metadata: { labels }, spec });
}

function contentOf({ metadata, spec }: Tree): Content {
  const { labels } = metadata as { readonly labels: Content["labels"] };
  return { labels, spec: spec as object };
}

function collect(schema: TSchema | undefined, value: unknown, path: string, fields: Map<string, unknown>): void {
  const inner = isPlainObject(value) && isObjectSchema(schema) ? Object.entries(value) : [];
  if (inner.length === 0) fields.set(path, value);
  for (const [key, one] of inner) collect(inSchema(schema, key), one, at(path, key), fields);
}

interface ObjectSchema {
  readonly properties?: Readonly<Record<string, TSchema>>;
  readonly patternProperties?: Readonly<Record<string, TSchema>>;
}

function isObjectSchema(schema: (TSchema & ObjectSchema) | undefined): schema is TSchema & ObjectSchema {
  return schema?.properties !== undefined || schema?.patternProperties !== undefined;
}

function inSchema(schema: (TSchema & ObjectSchema) | undefined, key: string): TSchema | undefined {
  const { properties, patternProperties = {} } = schema ?? {};
  if (properties !== undefined) return Object.hasOwn(properties, key) ? properties[key] : undefined;
  return Object.values(patternProperties)[0];
}

/** Objects that the removal leaves empty go too, but for the roots. */
function remove(root: Tree, parts: readonly string[]): void {
  const parents: Tree[] = [];
  let here: unknown = root;
  for (const part of parts) {
    if (!isTree(here) || !Object.hasOwn(here, part)) return;
    parents.push(here);
    here = here[part];
  }
  const isRoot = (depth: number): boolean => depth <= (parts[0] === "spec" ? 1 : 2);
  for (let depth = parts.length; depth > 0; depth--) {
    const parent = parents[depth - 1];
    const part = parts[depth - 1];
    if (parent === undefined || part === undefined || (depth < parts.length && isRoot(depth))) return;
    // oxlint-disable-next-line typescript/no-dynamic-delete -- a copy of our own, whose keys are data
    delete parent[part];
    if (Object.keys(parent).length > 0) return;
  }
}

function set(root: Tree, parts: readonly string[], value: unknown): void {
  let here = root;
  for (const part of parts.slice(0, -1)) {
    const inner = Object.hasOwn(here, part) ? here[part] : undefined;
    const next: Tree = isTree(inner) ? inner : {};
    here[part] = next;
    here = next;
  }
  const last = parts.at(-1) ?? "";
  // That an object is to be there says nothing of what is in it.
  if (isTree(value) && Object.keys(value).length === 0 && Object.hasOwn(here, last) && isTree(here[last])) return;
  here[last] = value;
}

function isTree(value: unknown): value is Tree {
  return isPlainObject(value);
}

function at(path: string, key: string): string {
  return `${path}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

function partsOf(pointer: string): string[] {
  return pointer
    .slice(1)
    .split("/")
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}
