import { crc32 } from "node:zlib";
import { AnyResource, SkerryError, currentForm, isKindName, parserOf, type StoredJson } from "@skerry/model";
import { freeze } from "./object.ts";
import type { Change, StoredObject } from "./object.ts";
import type { ChangeEvent } from "./store.ts";

/** A row of the revision log. */
export interface ChangeRow {
  readonly revision: number;
  readonly kind: string;
  readonly id: string;
  readonly project: string | null;
  readonly name: string;
  readonly type: string;
  readonly body: string;
  readonly timeMs: number;
  /** See `objectSum`. */
  readonly sum: number;
}

/** A row of an object's newest state. */
export interface ObjectRow {
  readonly kind: string;
  readonly id: string;
  readonly project: string | null;
  readonly name: string;
  readonly revision: number;
  readonly body: string;
  /** See `objectSum`. */
  readonly sum: number;
}

type AnyRow = Omit<ObjectRow, "sum"> | ChangeRow;

/** The database that rows came from, for errors about them. */
export interface Origin {
  /** As a user knows it: a path, or a URL without password. */
  readonly store: string;
  /** A shell command that runs one SQL statement on it. */
  readonly sqlCommand: (sql: string) => string;
  readonly tables: { readonly objects: string; readonly changes: string; readonly meta: string };
}

/** The name that a store's totals have among its facts: how many objects there are, and the sum of their sums. */
const totalsName = "objects-total";

/** Tells a store that has all its rows, unharmed, from one that lost some without a trace. */
export interface Totals {
  readonly count: number;
  /** Of the objects' sums, modulo 2^32. */
  readonly sum: number;
}

const parseResource = parserOf(AnyResource, "stored object");
const changeTypes: readonly string[] = ["created", "updated", "deleted"] satisfies ChangeEvent["type"][];

export function changeRow({ event, timeMs }: Change): ChangeRow {
  const { revision, kind, id, project, name, type, json: body } = event;
  const place = { kind, id, project: project ?? null, name, revision, body };
  return { ...place, type, timeMs, sum: objectSum(place) };
}

/** CRC-32 of all that a row says of its object: one changed byte anywhere in it is noticed. About 1 µs. */
function objectSum({ kind, id, project, name, revision, body }: Omit<ObjectRow, "sum">): number {
  // One after the other, so that the body needs no copy.
  return crc32(body, crc32(`${kind}\0${id}\0${project ?? ""}\0${name}\0${revision}\0`));
}

/** An object of a row in the form that this version writes, whatever version has written it, and the same as JSON. */
export interface RowObject {
  readonly object: StoredObject;
  readonly json: string;
}

/** The object of a row of `objects`, not frozen; checks that it is one and that it is the row's. */
export function readObject(origin: Origin, row: ObjectRow): RowObject {
  checkSum(origin, row);
  return readRecord(origin, row);
}

/** The same of a row whose checksum was looked at already. */
export function readRecord(origin: Origin, row: Omit<ObjectRow, "sum">): RowObject {
  const read = parse(origin, row);
  const { object } = read;
  if (object.metadata.revision === row.revision) return read;
  throw damaged(origin, row, `its body has revision ${object.metadata.revision}, its row ${row.revision}`);
}

/** The event of a row of `changes`. */
export function readChange(origin: Origin, row: ChangeRow): ChangeEvent {
  checkSum(origin, row);
  const { object, json } = parse(origin, row);
  freeze(object);
  if (!changeTypes.includes(row.type)) throw damaged(origin, row, `its type is ${JSON.stringify(row.type)}`);
  const { kind } = object;
  const { id, project, name } = object.metadata;
  return {
    revision: row.revision,
    kind,
    id,
    project,
    name,
    type: row.type as ChangeEvent["type"],
    object,
    json,
  };
}

/** An object that was stored, from its JSON; checks what every kind shares. @throws SkerryError internal */
export function parseStored(value: unknown): StoredObject {
  const { kind } = (value ?? {}) as { readonly kind?: unknown };
  const isKnown = typeof kind === "string" && isKindName(kind);
  return freeze(parseResource(isKnown ? currentForm(kind, value as StoredJson) : value)) as StoredObject;
}

function checkSum(origin: Origin, row: ObjectRow | ChangeRow): void {
  // A damaged header of a row makes anything of its columns.
  if (typeof row.body !== "string") throw damaged(origin, row, "its body is no text");
  const sum = objectSum(row);
  if (sum !== row.sum) throw damaged(origin, row, `its checksum is ${row.sum}, and its content's ${sum}`);
}

/**
 * Checks what every kind shares. What is particular to a kind is not checked again: it was when it was written, and
 * one object of an older form must not keep all others from being served.
 */
function parse(origin: Origin, row: AnyRow): RowObject {
  if (!isKindName(row.kind)) throw damaged(origin, row, `there is no kind ${JSON.stringify(row.kind)}`);
  let object;
  let json = row.body;
  try {
    const stored = JSON.parse(row.body) as StoredJson;
    const current = currentForm(row.kind, stored);
    if (current !== stored) json = JSON.stringify(current);
    object = parseResource(current);
  } catch (error) {
    if (error instanceof SkerryError && error.code === "unavailable") throw error;
    throw damaged(origin, row, (error as Error).message, error);
  }
  const { id, project, name } = object.metadata;
  if (object.kind !== row.kind || id !== row.id || name !== row.name || (project ?? null) !== row.project) {
    throw damaged(origin, row, `its body is ${object.kind} ${id} ${project ?? ""}/${name}`);
  }
  return { object: object as StoredObject, json };
}

/** Names the row and the way out. */
export function damaged(origin: Origin, row: AnyRow, what: string, cause?: unknown): SkerryError {
  const { store, sqlCommand, tables } = origin;
  const [table, where] =
    "type" in row
      ? [tables.changes, `revision = ${row.revision}`]
      : [tables.objects, `kind = ${quote(row.kind)} AND id = ${quote(row.id)}`];
  // The totals are made anew where they are missing.
  const totals = `DELETE FROM ${tables.meta} WHERE name = '${totalsName}'`;
  const command = sqlCommand(`DELETE FROM ${table} WHERE ${where}; ${totals}`);
  return new SkerryError("unavailable", `The store ${store} has a damaged row in ${table} (${where}): ${what}.`, {
    remedy: `Restore the latest backup; or go on without this row: stop Skerry and run ${command}.`,
    facts: { store, table, where },
    cause,
  });
}

/** @param text a number or bytes, where the damage is that it is none */
function quote(text: unknown): string {
  return `'${String(text).replaceAll("'", "''")}'`;
}
