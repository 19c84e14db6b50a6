import { randomBytes } from "node:crypto";
import pg from "pg";
import { SkerryError, makeId } from "@skerry/model";
import { loadState } from "../load-state.ts";
import { ObjectStore } from "../object-store.ts";
import type { ReplicatedStore } from "../replicated-store.ts";
import type { ObjectRow, Origin } from "../rows.ts";
import type { BaseState } from "../state.ts";
import { Connection, ConnectionLost, redacted, type Statement } from "./connection.ts";
import { PostgresLog } from "./postgres-log.ts";
import { Replica, following, replicated, type Pace } from "./replica.ts";
import { schema, schemaVersion } from "./schema.ts";

export interface PostgresStoreOptions {
  /** postgres://user:password@host:port/database; parts that are missing come from libpq's variables and ~/.pgpass. */
  readonly url: string;
  /** Where other replicas reach this one while it leads. */
  readonly replicaUrl: string;
  /** What all replicas of a zone must have in common, such as the fingerprint of its authority; the first one records it. */
  readonly family: string;
  /** How many changes the revision log keeps; 100,000 where absent. */
  readonly keepChanges?: number;
  /** Milliseconds since 1970; the system's clock where absent. */
  readonly now?: () => number;
  readonly pace?: Partial<Pace>;
}

const defaultPace: Pace = { pollMs: 50, renewMs: 300, takeOverMs: 1500 };
/** How long one statement may take; how long a commit is tried in all. */
const statementMs = 2000;
const loadMs = 60_000;
const commitPatienceMs = 8000;

/**
 * Opens the backend for any number of replicas: a PostgreSQL database, its objects held in memory by each. The replica
 * follows at first, and leads once nobody else does.
 * @throws SkerryError unavailable where the database can't be reached, is another zone's or newer than this version, does not
 * promise durability, or has a damaged row (which is named, with the way out)
 */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<ReplicatedStore> {
  const { url, keepChanges = 100_000, now = Date.now } = options;
  const pace = { ...defaultPace, ...options.pace };
  const origin: Origin = {
    store: redacted(url),
    sqlCommand: (sql) => `psql ${redacted(url)} -c "${sql}"`,
    tables: { objects: "skerry_objects", changes: "skerry_changes" },
  };
  const connect = (patienceMs: number): Connection => new Connection({ url, patienceMs });
  const loader = connect(loadMs);
  let loaded;
  try {
    await checkDurability(loader, origin);
    await define(loader, origin);
    const zoneId = await meta(loader, "zone-id", makeId("zon", now(), randomBytes(10)));
    await checkFamily(loader, origin, options.family);
    loaded = { zoneId, ...(await load(loader, origin)) };
  } catch (error) {
    if (error instanceof ConnectionLost || error instanceof pg.DatabaseError) throw unreachable(origin, error);
    throw error;
  } finally {
    await loader.close();
  }
  const log = new PostgresLog({
    origin,
    writer: connect(statementMs),
    reader: connect(statementMs),
    patienceMs: commitPatienceMs,
    keep: keepChanges,
  });
  const store = new ObjectStore({ log, ...loaded, keep: keepChanges, now });
  await store.pause(following());
  const replica = new Replica({
    store,
    log,
    connection: connect(statementMs),
    candidate: { id: makeId("rep", now(), randomBytes(10)), url: options.replicaUrl },
    pace,
    monotonicMs: () => performance.now(),
  });
  replica.start();
  return replicated(store, replica);
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

async function load(
  connection: Connection,
  origin: Origin,
): Promise<{ readonly durable: BaseState; readonly trimmedThrough: number }> {
  await connection.query({ text: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" });
  const spanText = "SELECT min(revision) AS oldest, max(revision) AS newest FROM skerry_changes";
  const [span] = await connection.query<{ oldest: string | null; newest: string | null }>({ text: spanText });
  const revision = Number(span?.newest ?? 0);
  const text = `SELECT kind, id, project, name, revision, body FROM skerry_objects WHERE (kind, id) > ($1, $2)
    ORDER BY kind, id LIMIT $3`;
  type Row = Omit<ObjectRow, "revision"> & { readonly revision: string };
  const durable = await loadState(origin, revision, async (after, limit) => {
    const rows = await connection.query<Row>({ name: "load", text, values: [after.kind, after.id, limit] });
    return rows.map((row) => ({ ...row, revision: Number(row.revision) }));
  });
  await connection.query({ text: "COMMIT" });
  return { durable, trimmedThrough: Number(span?.oldest ?? revision + 1) - 1 };
}

function unreachable({ store }: Origin, cause: Error): SkerryError {
  return new SkerryError("unavailable", `The database ${store} can't be used: ${cause.message}.`, {
    remedy: "Check that PostgreSQL runs there, and that the URL's user may create tables in that database.",
    cause,
  });
}
