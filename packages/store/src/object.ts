import { SkerryError, kinds } from "@skerry/model";
import type { KindName, ResourceOf } from "@skerry/model";
import type { ChangeEvent, Key } from "./store.ts";

/** Any stored object. */
export type StoredObject = ResourceOf<KindName>;

/** A change with what its row in the database needs beyond the event. */
export interface Change {
  readonly event: ChangeEvent;
  /** The event's object as JSON. */
  readonly body: string;
  readonly timeMs: number;
}

/**
 * An object's key within its kind. A space sorts before everything that a name may hold, so that the order of these
 * strings is the order of (project, name).
 */
export function nameKey(kind: KindName, key: Key): string {
  return kinds[kind].scope === "project" ? `${key.project ?? ""} ${key.name}` : ` ${key.name}`;
}

/** What the name keys of a project's objects start with. */
export function projectPrefix(project: string): string {
  return `${project} `;
}

/** Refuses an object whose place does not fit its kind, which would hide it from every read by name. */
export function checkPlace(object: StoredObject): void {
  const { kind, metadata } = object;
  if ((kinds[kind].scope === "project") === (metadata.project !== undefined)) return;
  throw new SkerryError(
    "invalid-request",
    metadata.project === undefined
      ? `The ${kind} ${metadata.name} has no project, and a ${kind} lives in one.`
      : `The ${kind} ${metadata.name} has a project, and a ${kind} lives in none.`,
  );
}

/** What of stored objects is known as JSON already. */
const known = new WeakMap<StoredObject, string>();

/** Remembers the JSON that an object was made from. */
export function rememberJson(object: StoredObject, json: string): void {
  known.set(object, json);
}

/** A stored object as JSON, without making it anew where it came from the log of late. */
export function jsonOf(object: StoredObject): string {
  return known.get(object) ?? JSON.stringify(object);
}

/** Freezes a tree that came out of JSON, so that nobody can change what all readers share. */
export function freeze<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}
