import { SkerryError, kinds } from "@skerry/model";
import type { KindName, ResourceOf } from "@skerry/model";
import type { ChangeEvent, Key, OwnChange } from "./store.ts";

/** Any stored object. */
export type StoredObject = ResourceOf<KindName>;

/** A change with what its row in the database needs beyond the event. */
export interface Change {
  readonly event: ChangeEvent;
  readonly timeMs: number;
  /** The object that it found, where that is known and there was one. */
  readonly before?: StoredObject | undefined;
}

/** A change with the object that it found. */
export interface TracedChange extends Change, OwnChange {
  readonly before: StoredObject | undefined;
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

/** Freezes a tree that came out of JSON, so that nobody can change what all readers share. */
export function freeze<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) value.forEach(freeze);
  else for (const name in value) freeze(value[name]);
  return Object.freeze(value);
}

/**
 * A frozen copy of a tree, equal to what its JSON would load as: fields that are undefined are left out. A third of the cost of the
 * way through JSON.
 * @throws TypeError for what JSON does not hold as it is, such as a Date, a function or NaN
 */
export function frozenCopy<T>(value: T): T {
  return copyOf(value) as T;
}

function copyOf(value: unknown): unknown {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      if (Number.isFinite(value)) return value === 0 ? 0 : value;
      throw notJson(value);
    case "object":
      if (value === null) return null;
      return Array.isArray(value) ? Object.freeze(value.map(copyOf)) : copyFields(value as Record<string, unknown>);
    default:
      throw notJson(value);
  }
}

function copyFields(from: Readonly<Record<string, unknown>>): object {
  if (Object.getPrototypeOf(from) !== Object.prototype) throw notJson(from);
  const copy: Record<string, unknown> = {};
  // Of its own fields: its prototype has none. Unlike Object.keys it makes no list.
  for (const name in from) {
    const value = from[name];
    if (value === undefined) continue;
    // Assigned, it would change the copy's prototype instead.
    if (name === "__proto__") throw notJson(name);
    copy[name] = copyOf(value);
  }
  return Object.freeze(copy);
}

function notJson(value: unknown): TypeError {
  return new TypeError(`an object to be stored holds what JSON does not: ${String(value)}`);
}
