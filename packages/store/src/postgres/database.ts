import pg from "pg";
import { SkerryError } from "@skerry/model";
import type { Origin } from "../rows.ts";
import { redacted, type Connection, type Statement } from "./connection.ts";
import { schema, schemaVersion } from "./schema.ts";

/** How a database is named in errors. */
export function originOf(url: string): Origin {
  return {
    store: redacted(url),
    sqlCommand: (sql) => `psql ${redacted(url)} -c "${sql}"`,
    tables: { objects: "skerry_objects", changes: "skerry_changes", meta: "skerry_meta" },
  };
}

/**
 * Defines what is missing of a database's tables; returns the zone that it is of, `zoneId` where it is new.
 * @throws SkerryError unavailable where it is another zone's or newer than this version, or does not promise durability
 */
export async function prepareDatabase(
  connection: Connection,
  origin: Origin,
  zoneId: string,
  family: string,
): Promise<string> {
  await checkDurability(connection, origin);
  await define(connection, origin);
  await checkFamily(connection, origin, family);
  return meta(connection, "zone-id", zoneId);
}

const restoring = "restoring";

/** Marks a database whose restoration has begun, or ended. */
export async function markRestoring(connection: Connection, isRestoring: boolean): Promise<void> {
  if (isRestoring) await meta(connection, restoring, "yes");
  else await connection.query({ text: "DELETE FROM skerry_meta WHERE name = $1", values: [restoring] });
}

export async function refuseHalfRestored(connection: Connection, { store }: Origin): Promise<void> {
  const text = "SELECT value FROM skerry_meta WHERE name = $1";
  if ((await connection.query({ text, values: [restoring] })).length === 0) return;
  throw new SkerryError("unavailable", `The restoration of a backup into ${store} was cut short.`, {
    remedy: "Drop that database, create it anew, and restore again.",
  });
}

/** Refuses to run where a commit would be acknowledged before it is on the disk. */
async function checkDurability(connection: Connection, { store }: Origin): Promise<void> {
  const text = "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes')";
  const rows = await connection.query<{ name: string; setting: string }>({ text });
  const off = rows.filter(({ setting }) => setting !== "on").map(({ name }) => name);
  if (off.length === 0) return;
  throw new SkerryError("unavailable", `The database ${store} does not promise durability: ${off.join(", ")} is off.`, {
    remedy: `Turn ${off.join(" and ")} on in postgresql.conf and reload PostgreSQL.`,
  });
}

async function define(connection: Connection, { store }: Origin): Promise<void> {
  for (const text of schema) await again(connection, { text });
  const first = "INSERT INTO skerry_leadership (one, epoch, renewals, holder, url) VALUES (1, 0, 0, '', '')";
  await again(connection, { text: `${first} ON CONFLICT (one) DO NOTHING` });
  const version = Number(await meta(connection, "schema-version", String(schemaVersion)));
  if (version > schemaVersion) {
    throw new SkerryError("unavailable", `The store ${store} was written by a newer Skerry (schema ${version}).`, {
      remedy: "Run that newer version, or restore a backup that was made before it.",
    });
  }
  if (version < schemaVersion) {
    const text = "UPDATE skerry_meta SET value = $2 WHERE name = $1";
    await connection.query({ text, values: ["schema-version", String(schemaVersion)] });
  }
}

/** Replicas that start at the same time define the same tables, and PostgreSQL then refuses all but one. */
async function again(connection: Connection, statement: Statement): Promise<void> {
  try {
    await connection.query(statement);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    await connection.query(statement);
  }
}

/** The value that stands there; `value` where nothing did. */
async function meta(connection: Connection, name: string, value: string): Promise<string> {
  const insert = "INSERT INTO skerry_meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
  await connection.query({ text: insert, values: [name, value] });
  const select = "SELECT value FROM skerry_meta WHERE name = $1";
  const [row] = await connection.query<{ value: string }>({ text: select, values: [name] });
  return row?.value ?? value;
}

async function checkFamily(connection: Connection, { store }: Origin, family: string): Promise<void> {
  const recorded = await meta(connection, "family", family);
  if (recorded === family) return;
  throw new SkerryError(
    "unavailable",
    `The database ${store} belongs to a zone with another authority (${recorded}).`,
    {
      remedy:
        "Copy pki/ and sealing.key from the data directory of the zone's first replica into this one's, and start again.",
      facts: { recorded, own: family },
    },
  );
}

/** What a caller is told where the database itself refuses or is away. */
export function unreachable({ store }: Origin, cause: Error): SkerryError {
  return new SkerryError("unavailable", `The database ${store} can't be used: ${cause.message}.`, {
    remedy: "Check that PostgreSQL runs there, and that the URL's user may create tables in that database.",
    cause,
  });
}
