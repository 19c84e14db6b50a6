import { SkerryError } from "./problem.ts";
import type { KindName } from "./kinds.ts";

/** A stored object as JSON, of any version. */
export type StoredJson = Readonly<Record<string, unknown>>;

/** Makes an object of one version into one of the next. Pure; sees all that such an object may hold, and keeps what it does not know. */
export type Migration = (object: StoredJson) => StoredJson;

/** By kind, from version 1 on: the first makes version 2. Objects without a version are of version 1. Only ever added to. */
export type Migrations = { readonly [K in KindName]?: readonly Migration[] };

const migrations: Migrations = { Network: [withoutLeases] };

/** The version in which a kind's objects are written now. */
export function schemaVersionOf(kind: KindName, table = migrations): number {
  return (table[kind]?.length ?? 0) + 1;
}

/**
 * A stored object as this version would have written it: itself where it did. What was migrated is written when it next changes.
 * @throws SkerryError unavailable where a newer version has written it
 */
export function currentForm(kind: KindName, object: StoredJson, table = migrations): StoredJson {
  const { metadata } = object as { readonly metadata?: { readonly schemaVersion?: unknown; readonly name?: unknown } };
  const stored = metadata?.schemaVersion;
  const known = table[kind] ?? [];
  if (stored === undefined && known.length === 0) return object;
  const version = stored === undefined ? 1 : Number(stored);
  const current = known.length + 1;
  if (version === current) return object;
  if (!(version < current)) {
    throw new SkerryError(
      "unavailable",
      `A newer Skerry wrote the ${kind} ${String(metadata?.name)} (form ${version}).`,
      {
        remedy: "Run that version, or restore a backup that was made before it.",
        facts: { kind, version, known: current },
      },
    );
  }
  const migrated = known.slice(version - 1).reduce((form, migrate) => migrate(form), object);
  return { ...migrated, metadata: { ...(migrated["metadata"] as object), schemaVersion: current } };
}

/** Version 1 kept the leases of addresses in the network; the interfaces of instances have them since. */
function withoutLeases(network: StoredJson): StoredJson {
  const { leases: _gone, ...status } = (network["status"] ?? {}) as StoredJson;
  return { ...network, status };
}
