import { randomBytes } from "node:crypto";
import { SkerryError, makeId } from "@skerry/model";
import type { CommitLog } from "../commit-log.ts";
import { loadState } from "../load-state.ts";
import { ObjectStore } from "../object-store.ts";
import { changeRow, readChange, type Origin } from "../rows.ts";
import type { Store } from "../store.ts";
import { Database } from "./database.ts";
import type { Opened } from "./messages.ts";

export interface SqliteStoreOptions {
  /** The database file; made where there is none, in a directory that exists. `-wal`, `.owner` and `.seen` files stand beside it. */
  readonly path: string;
  /** How many changes the revision log keeps; 100,000 where absent. */
  readonly keepChanges?: number;
  /** Milliseconds since 1970; the system's clock where absent. */
  readonly now?: () => number;
}

/**
 * Opens the embedded backend: one SQLite file, for one process at a time, held in memory as well.
 * @throws SkerryError unavailable where another process has it (named by its pid), the file is damaged (the row is
 * named, with the way out) or newer than this version; storage-full
 */
export async function openSqliteStore({
  path,
  keepChanges = 100_000,
  now = Date.now,
}: SqliteStoreOptions): Promise<Store> {
  if (!Number.isInteger(keepChanges) || keepChanges < 1) throw new RangeError("keepChanges is a whole number from 1");
  const origin: Origin = {
    store: path,
    sqlCommand: (sql) => `sqlite3 ${path} "${sql}"`,
    tables: { objects: "objects", changes: "changes", meta: "meta" },
  };
  const database = new Database({ path, keep: keepChanges, zoneId: makeId("zon", now(), randomBytes(10)) });
  try {
    const opened = await database.opened;
    checkDurability(path, opened);
    const durable = await loadState(origin, opened.revision, (after) => database.objects(after), opened.totals);
    const log: CommitLog = {
      commit: (changes, noted) => database.commit(changes.map(changeRow), noted),
      audit: database.audit,
      read: async (after, limit) => (await database.changes(after, limit)).map((row) => readChange(origin, row)),
      close: () => database.close(),
    };
    const { zoneId, trimmedThrough } = opened;
    return new ObjectStore({ log, zoneId, durable, keep: keepChanges, trimmedThrough, now });
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** Refuses to run where a commit would be acknowledged before it is on the disk, as on file systems without WAL. */
function checkDurability(path: string, { journalMode, synchronous }: Opened): void {
  if (journalMode === "wal" && synchronous === 2) return;
  const seen = `journal mode ${journalMode}, synchronous ${synchronous}`;
  throw new SkerryError("unavailable", `SQLite does not promise durability for ${path} (${seen}).`, {
    remedy: "Name a path on a local file system.",
  });
}
