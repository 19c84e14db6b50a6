import { randomBytes } from "node:crypto";
import pg from "pg";
import { makeId } from "@skerry/model";
import { loadState } from "../load-state.ts";
import { Packer, type ReadRow } from "../table/page.ts";
import { ObjectStore } from "../object-store.ts";
import type { ReplicatedStore } from "../replicated-store.ts";
import type { ObjectRow, Origin } from "../rows.ts";
import type { BaseState } from "../state.ts";
import { bootTimeMs } from "./boot-time.ts";
import { Connection, ConnectionLost } from "./connection.ts";
import { originOf, prepareDatabase, refuseHalfRestored, unreachable } from "./database.ts";
import { PostgresLog } from "./postgres-log.ts";
import { Replica, following, replicated, type Pace } from "./replica.ts";

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
  /** Milliseconds of a clock that never jumps and counts suspended time; by it a leader knows how long it heard nothing. */
  readonly monotonicMs?: () => number;
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
  const { url, keepChanges = 100_000, now = Date.now, monotonicMs = bootTimeMs } = options;
  const pace = { ...defaultPace, ...options.pace };
  const origin = originOf(url);
  const connect = (patienceMs: number): Connection => new Connection({ url, patienceMs });
  const loader = connect(loadMs);
  let loaded;
  try {
    const zoneId = await prepareDatabase(loader, origin, makeId("zon", now(), randomBytes(10)), options.family);
    await refuseHalfRestored(loader, origin);
    loaded = { zoneId, ...(await load(loader, origin)) };
  } catch (error) {
    if (error instanceof ConnectionLost || error instanceof pg.DatabaseError) throw unreachable(origin, error);
    throw error;
  } finally {
    await loader.close();
  }
  const log = new PostgresLog({
    origin,
    zoneId: loaded.zoneId,
    writer: connect(statementMs),
    reader: connect(statementMs),
    patienceMs: commitPatienceMs,
    keep: keepChanges,
    monotonicMs,
  });
  const store = new ObjectStore({ log, ...loaded, keep: keepChanges, now });
  await store.pause(following());
  const replica = new Replica({
    store,
    log,
    connection: connect(statementMs),
    candidate: { id: makeId("rep", now(), randomBytes(10)), url: options.replicaUrl },
    pace,
    monotonicMs,
  });
  replica.start();
  return replicated(store, replica);
}

/** How many objects are asked for at once. */
const loadedRows = 500;

async function load(
  connection: Connection,
  origin: Origin,
): Promise<{ readonly durable: BaseState; readonly trimmedThrough: number }> {
  await connection.query({ text: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" });
  const spanText = "SELECT min(revision) AS oldest, max(revision) AS newest FROM skerry_changes";
  const [span] = await connection.query<{ oldest: string | null; newest: string | null }>({ text: spanText });
  const revision = Number(span?.newest ?? 0);
  const text = `SELECT kind, id, project, name, revision, body, sum FROM skerry_objects WHERE (kind, id) > ($1, $2)
    ORDER BY kind, id LIMIT $3`;
  type Row = Omit<ObjectRow, "revision" | "sum"> & { readonly revision: string; readonly sum: string };
  const packer = new Packer();
  const durable = await loadState(origin, revision, async (after) => {
    const rows = await connection.query<Row>({ name: "load", text, values: [after.kind, after.id, loadedRows] });
    const columns = rows.map((row): ReadRow => [
      row.kind,
      row.id,
      row.project,
      row.name,
      Number(row.revision),
      row.body,
      Number(row.sum),
    ]);
    return packer.pack(columns);
  });
  await connection.query({ text: "COMMIT" });
  return { durable, trimmedThrough: Number(span?.oldest ?? revision + 1) - 1 };
}
