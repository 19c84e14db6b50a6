import { randomBytes } from "node:crypto";
import { SkerryError, makeId } from "@skerry/model";
import type { CommitLog } from "../commit-log.ts";
import { ObjectStore } from "../object-store.ts";
import { BaseState } from "../state.ts";
import type { Store } from "../store.ts";
import { Database } from "./database.ts";
import type { ObjectRow, Opened } from "./messages.ts";
import { changeRow, damaged, readChange, readObject } from "./rows.ts";

export interface SqliteStoreOptions {
  /** The database file; made where there is none, in a directory that exists. `-wal` and `.owner` files stand beside it. */
  readonly path: string;
  /** How many changes the revision log keeps; 100,000 where absent. */
  readonly keepChanges?: number;
  /** Milliseconds since 1970; the system's clock where absent. */
  readonly now?: () => number;
}

const loadPage = 1000;

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
  const database = new Database({ path, keep: keepChanges, zoneId: makeId("zon", now(), randomBytes(10)) });
  try {
    const opened = await database.opened;
    checkDurability(path, opened);
    const durable = await load(database, path, opened.revision);
    const log: CommitLog = {
      commit: (changes) => database.commit(changes.map(changeRow)),
      read: async (after, limit) => (await database.changes(after, limit)).map((row) => readChange(path, row)),
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

async function load(database: Database, path: string, revision: number): Promise<BaseState> {
  const state = new BaseState(revision);
  let coming = database.objects({ kind: "", id: "" }, loadPage);
  for (;;) {
    const rows = await coming;
    const last = rows.at(-1);
    if (last === undefined) return state;
    // The worker reads the next page while this thread parses this one.
    coming = database.objects(last, loadPage);
    coming.catch(() => undefined); // Awaited above, unless a damaged row comes first.
    for (const row of rows) add(state, path, row);
  }
}

function add(state: BaseState, path: string, row: ObjectRow): void {
  const object = readObject(path, row);
  const { kind, metadata } = object;
  const holder = state.get(kind, metadata);
  if (holder !== undefined) throw damaged(path, row, `${holder.metadata.id} has its name ${metadata.name} too`);
  if (metadata.revision > state.revision)
    throw damaged(path, row, `it is newer than the log, which ends at ${state.revision}`);
  state.set(object);
}
