import { randomBytes } from "node:crypto";
import pg from "pg";
import { SkerryError, makeId } from "@skerry/model";
import type { BackupContent } from "../backup/backup-file.ts";
import { restoreInto } from "../backup/restore.ts";
import { startAudit } from "./audit-table.ts";
import { bootTimeMs } from "./boot-time.ts";
import { Connection, ConnectionLost } from "./connection.ts";
import { markRestoring, originOf, prepareDatabase, refuseHalfRestored, unreachable } from "./database.ts";
import { readLeadership, resignLeadership, takeLeadership } from "./leadership.ts";
import { PostgresLog } from "./postgres-log.ts";

export interface PostgresRestoreOptions {
  readonly url: string;
  /** See PostgresStoreOptions. */
  readonly family: string;
}

const patienceMs = 60_000;

/**
 * Fills an empty database with a backup; until that is done no replica opens it.
 * @returns the revision that the store starts at
 * @throws SkerryError already-exists where the database holds a store
 */
export async function restorePostgres(
  { url, family }: PostgresRestoreOptions,
  content: BackupContent,
  nowMs: number,
): Promise<number> {
  const origin = originOf(url);
  const connection = new Connection({ url, patienceMs });
  const reader = new Connection({ url, patienceMs });
  const log = new PostgresLog({
    origin,
    zoneId: content.head.zoneId,
    writer: connection,
    reader,
    patienceMs,
    keep: Number.MAX_SAFE_INTEGER,
    monotonicMs: bootTimeMs,
  });
  try {
    await prepareDatabase(connection, origin, content.head.zoneId, family);
    await refuseHalfRestored(connection, origin);
    const found = await connection.query({ text: "SELECT 1 FROM skerry_changes LIMIT 1" });
    if (found.length > 0) {
      throw new SkerryError("already-exists", `The database ${origin.store} holds a store already.`, {
        remedy: "Create an empty database and restore into that; keep the old one for now.",
      });
    }
    await markRestoring(connection, true);
    const candidate = { id: makeId("rep", nowMs, randomBytes(10)), url: "" };
    const epoch = await takeLeadership(connection, await readLeadership(connection), candidate);
    if (epoch === undefined) {
      throw new SkerryError("unavailable", `A server runs on the database ${origin.store}.`, {
        remedy: "Stop it first.",
      });
    }
    if (content.audit !== undefined) await startAudit(connection, content.audit);
    await log.lead(epoch);
    const revision = await restoreInto(log, content, nowMs);
    await markRestoring(connection, false);
    await resignLeadership(connection, epoch);
    return revision;
  } catch (error) {
    if (error instanceof ConnectionLost || error instanceof pg.DatabaseError) throw unreachable(origin, error);
    throw error;
  } finally {
    await log.close();
  }
}
