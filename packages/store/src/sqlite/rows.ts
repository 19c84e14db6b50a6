import { AnyResource, SkerryError, isKindName, parserOf } from "@skerry/model";
import { freeze } from "../object.ts";
import type { Change, StoredObject } from "../object.ts";
import type { ChangeEvent } from "../store.ts";
import type { ChangeRow, ObjectRow } from "./messages.ts";

const parseResource = parserOf(AnyResource, "stored object");
const changeTypes: readonly string[] = ["created", "updated", "deleted"] satisfies ChangeEvent["type"][];

export function changeRow({ event, body, timeMs }: Change): ChangeRow {
  const { revision, kind, id, project, name, type } = event;
  return { revision, kind, id, project: project ?? null, name, type, body, timeMs };
}

/** The object of a row of `objects`; checks that it is one and that it is the row's. */
export function readObject(path: string, row: ObjectRow): StoredObject {
  const object = parse(path, row);
  if (object.metadata.revision === row.revision) return object;
  throw damaged(path, row, `its body has revision ${object.metadata.revision}, its row ${row.revision}`);
}

/** The event of a row of `changes`. */
export function readChange(path: string, row: ChangeRow): ChangeEvent {
  const object = parse(path, row);
  if (!changeTypes.includes(row.type)) throw damaged(path, row, `its type is ${JSON.stringify(row.type)}`);
  const { kind } = object;
  const { id, project, name } = object.metadata;
  return { revision: row.revision, kind, id, project, name, type: row.type as ChangeEvent["type"], object };
}

/**
 * Checks what every kind shares. What is particular to a kind is not checked again: it was when it was written, and
 * one object of an older form must not keep all others from being served.
 */
function parse(path: string, row: ObjectRow | ChangeRow): StoredObject {
  if (!isKindName(row.kind)) throw damaged(path, row, `there is no kind ${JSON.stringify(row.kind)}`);
  let object;
  try {
    const body: unknown = JSON.parse(row.body);
    object = parseResource(body);
  } catch (error) {
    throw damaged(path, row, (error as Error).message, error);
  }
  const { id, project, name } = object.metadata;
  if (object.kind !== row.kind || id !== row.id || name !== row.name || (project ?? null) !== row.project) {
    throw damaged(path, row, `its body is ${object.kind} ${id} ${project ?? ""}/${name}`);
  }
  return freeze(object) as StoredObject;
}

/** Names the row and the way out. */
export function damaged(path: string, row: ObjectRow | ChangeRow, what: string, cause?: unknown): SkerryError {
  const [table, where] =
    "type" in row
      ? ["changes", `revision = ${row.revision}`]
      : ["objects", `kind = ${quote(row.kind)} AND id = ${quote(row.id)}`];
  return new SkerryError("unavailable", `The store ${path} has a damaged row in ${table} (${where}): ${what}.`, {
    remedy: `Restore the latest backup; or go on without this row: stop Skerry and run sqlite3 ${path} "DELETE FROM ${table} WHERE ${where}".`,
    facts: { path, table, where },
    cause,
  });
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
