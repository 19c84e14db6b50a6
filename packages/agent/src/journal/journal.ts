import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SkerryError, parserOf } from "@skerry/model";
import { WantedState } from "@skerry/protocol";
import type { Log } from "../log.ts";
import { emptyInstanceRecord, emptyVolumeRecord, parseInstanceRecord, parseVolumeRecord } from "./records.ts";
import type { InstanceRecord, VolumeRecord } from "./records.ts";

/** Read access to what the node must not forget; what was never written reads as its empty record. */
export interface JournalView {
  volume(id: string): VolumeRecord;
  instance(id: string): InstanceRecord;
  volumeIds(): readonly string[];
  instanceIds(): readonly string[];
}

type Change<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** The node's own memory: one SQLite file, each change fsynced before the call returns. */
export interface Journal extends JournalView, Disposable {
  /** What was last wanted of this node; undefined before the first time. */
  wanted(): WantedState | undefined;
  /**
   * Keeps a wanted state and raises the epochs in it, in one transaction; false where it is older than the one kept.
   * An instance seen for the first time counts as rebooted as often as it asks.
   */
  accept(state: WantedState): boolean;
  /** Changes fields of a record; undefined removes one. */
  changeVolume(id: string, change: Change<VolumeRecord>): void;
  changeInstance(id: string, change: Change<InstanceRecord>): void;
  /** Drops records for good, in one transaction; only of what is neither wanted nor on this node. */
  forget(volumeIds: readonly string[], instanceIds: readonly string[]): void;
}

const quiet: Pick<Log, "warn"> = { warn: () => undefined };
const parseWanted = parserOf(WantedState, "wanted state in the journal", "internal");

/**
 * Opens the journal below the agent's data folder and locks it: the lock goes with the process, however it ends.
 * @throws SkerryError in-use where another agent has it open, internal where it can't be read
 */
export function openJournal(dataFolder: string, log: Pick<Log, "warn"> = quiet): Journal {
  mkdirSync(dataFolder, { recursive: true });
  const path = join(dataFolder, "journal.db");
  // It holds tenants' user data. SQLite gives the files beside it the mode of this one.
  closeSync(openSync(path, "a", 0o600));
  return openJournalFile(path, log);
}

/** The same over a path that SQLite takes. */
export function openJournalFile(path: string, log: Pick<Log, "warn"> = quiet): Journal {
  const db = openLocked(path);
  let volumes: Map<string, VolumeRecord>;
  let instances: Map<string, InstanceRecord>;
  try {
    volumes = load(db, path, "volumes", parseVolumeRecord);
    instances = load(db, path, "instances", parseInstanceRecord);
  } catch (error) {
    db.close();
    throw error;
  }
  const statements = {
    volume: db.prepare(
      "INSERT INTO volumes (id, body) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
    ),
    instance: db.prepare(
      "INSERT INTO instances (id, body) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
    ),
    forgetVolume: db.prepare("DELETE FROM volumes WHERE id = ?"),
    forgetInstance: db.prepare("DELETE FROM instances WHERE id = ?"),
    wanted: db.prepare(
      "INSERT INTO wanted (one, body) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET body = excluded.body",
    ),
  };
  let { wanted, text: wantedText } = loadWanted(db, log);

  const volume = (id: string): VolumeRecord => volumes.get(id) ?? emptyVolumeRecord;
  const instance = (id: string): InstanceRecord => instances.get(id) ?? emptyInstanceRecord;
  const changeVolume = (id: string, change: Change<VolumeRecord>): void => {
    const record = parseVolumeRecord(applyChange(volume(id), change));
    statements.volume.run(id, JSON.stringify(record));
    volumes.set(id, record);
  };
  const changeInstance = (id: string, change: Change<InstanceRecord>): void => {
    const record = parseInstanceRecord(applyChange(instance(id), change));
    statements.instance.run(id, JSON.stringify(record));
    instances.set(id, record);
  };

  return {
    volume,
    instance,
    volumeIds: () => [...volumes.keys()],
    instanceIds: () => [...instances.keys()],
    wanted: () => wanted,
    accept(state) {
      if (wanted !== undefined && state.revision < wanted.revision) return false;
      const text = JSON.stringify(state);
      if (text === wantedText) return true;
      const before = { volumes: new Map(volumes), instances: new Map(instances) };
      db.exec("BEGIN IMMEDIATE");
      try {
        statements.wanted.run(text);
        for (const { id, epoch } of state.volumes) {
          if (epoch > volume(id).epoch) changeVolume(id, { epoch });
        }
        for (const { id, epoch, rebootGeneration } of state.instances) {
          if (!instances.has(id)) changeInstance(id, { epoch, rebootGeneration });
          else if (epoch > instance(id).epoch) changeInstance(id, { epoch });
        }
        db.exec("COMMIT");
      } catch (error) {
        rollBack(db);
        // Memory and file stay the same, so that the next try writes all of it.
        restore(volumes, before.volumes);
        restore(instances, before.instances);
        throw error;
      }
      wanted = state;
      wantedText = text;
      return true;
    },
    changeVolume,
    changeInstance,
    forget(volumeIds, instanceIds) {
      db.exec("BEGIN IMMEDIATE");
      try {
        for (const id of volumeIds) statements.forgetVolume.run(id);
        for (const id of instanceIds) statements.forgetInstance.run(id);
        db.exec("COMMIT");
      } catch (error) {
        rollBack(db);
        throw error;
      }
      for (const id of volumeIds) volumes.delete(id);
      for (const id of instanceIds) instances.delete(id);
    },
    [Symbol.dispose]: () => db.close(),
  };
}

function openLocked(path: string): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: 0 });
    // EXCLUSIVE keeps the lock for as long as the process lives; FULL fsyncs each commit.
    db.exec(
      "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN IMMEDIATE; COMMIT;",
    );
    db.exec(`CREATE TABLE IF NOT EXISTS wanted (one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT NOT NULL) STRICT;
      CREATE TABLE IF NOT EXISTS volumes (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
      CREATE TABLE IF NOT EXISTS instances (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;`);
    return db;
  } catch (error) {
    db?.close();
    const busy = error instanceof Error && "errcode" in error && error.errcode === sqliteBusy;
    if (busy) {
      throw new SkerryError("in-use", `Another agent uses ${path}.`, {
        remedy: "Stop it (systemctl stop skerry-agent), or give this one a data folder of its own.",
        cause: error,
      });
    }
    throw new SkerryError(
      "internal",
      `The journal ${path} cannot be opened: ${error instanceof Error ? error.message : String(error)}`,
      {
        remedy:
          "Check the disk. With the file moved away the agent starts afresh and learns from the server what it should run.",
        cause: error,
      },
    );
  }
}

/** SQLITE_BUSY, https://www.sqlite.org/rescode.html */
const sqliteBusy = 5;

/** A full disk has rolled back already; then the error that matters is the one that is being thrown. */
function rollBack(db: DatabaseSync): void {
  if (db.isTransaction) db.exec("ROLLBACK");
}

function restore<T>(records: Map<string, T>, before: ReadonlyMap<string, T>): void {
  records.clear();
  for (const [id, record] of before) records.set(id, record);
}

/** @throws SkerryError internal for a record that can't be read: without its epoch the node could take an old copy for the newest */
function load<T>(
  db: DatabaseSync,
  path: string,
  table: "volumes" | "instances",
  parse: (value: unknown) => T,
): Map<string, T> {
  const records = new Map<string, T>();
  for (const row of db.prepare(`SELECT id, body FROM ${table}`).iterate()) {
    const id = String(row["id"]);
    try {
      records.set(id, parse(JSON.parse(String(row["body"]))));
    } catch (error) {
      throw new SkerryError("internal", `The journal ${path} has a record that can't be read (${id} in ${table}).`, {
        remedy:
          "Run the version of the agent that wrote it, if that is a newer one. If the record is damaged: delete what it stands for, " +
          `then take it out with sqlite3 ${path} "DELETE FROM ${table} WHERE id = '${id}'".`,
        cause: error,
      });
    }
  }
  return records;
}

function loadWanted(
  db: DatabaseSync,
  log: Pick<Log, "warn">,
): { wanted: WantedState | undefined; text: string | undefined } {
  const body = db.prepare("SELECT body FROM wanted").get()?.["body"];
  if (typeof body !== "string") return { wanted: undefined, text: undefined };
  try {
    return { wanted: parseWanted(JSON.parse(body)), text: body };
  } catch (error) {
    // Written by a version whose messages differ, or damaged.
    log.warn(
      { error },
      "the last wish in the journal can't be read: guests stay as they are until the server sends it again",
    );
    return { wanted: undefined, text: undefined };
  }
}

function applyChange<T extends object>(record: T, change: Change<T>): T {
  return Object.fromEntries(Object.entries({ ...record, ...change }).filter(([, value]) => value !== undefined)) as T;
}
