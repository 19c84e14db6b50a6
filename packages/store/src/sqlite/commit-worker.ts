/**
 * The thread that owns the database: the only SQL of this backend, and the only place that waits for the disk.
 * It imports little, so that it runs as it is and as a small bundle of its own. It uses statements that PostgreSQL also takes; table definitions and PRAGMAs are SQLite's.
 */
import { closeSync, constants, fsyncSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import { crc32 } from "node:zlib";
import type { AuditHead } from "../audit/chain.ts";
import { RecordDraft, type Noted } from "../audit/record.ts";
import type { ObjectPlace } from "../load-state.ts";
import type { ChangeRow, Totals } from "../rows.ts";
import { Packer, buffersOf, type PackedRows, type ReadRow } from "../table/page.ts";
import { auditSchema, openAuditTable } from "./audit-table.ts";
import type { Failure, Opened, Reply, Request, WorkerSettings } from "./messages.ts";

const schemaVersion = 3;
/** How many objects are handed over at once: some hundred kilobytes. */
const loadedRows = 500;

const schema = `
  CREATE TABLE IF NOT EXISTS meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS objects (
    kind TEXT NOT NULL, id TEXT NOT NULL, project TEXT, name TEXT NOT NULL, revision INTEGER NOT NULL, body TEXT NOT NULL,
    sum INTEGER NOT NULL, PRIMARY KEY (kind, id)
  );
  CREATE TABLE IF NOT EXISTS changes (
    revision INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, project TEXT, name TEXT NOT NULL,
    type TEXT NOT NULL, body TEXT NOT NULL, time_ms INTEGER NOT NULL, sum INTEGER NOT NULL
  );`;

/** A failure that is not SQLite's. */
class OpenError extends Error {
  readonly reason: Failure["reason"];

  constructor(reason: Failure["reason"], message: string) {
    super(message);
    this.reason = reason;
  }
}

if (parentPort === null) throw new Error("this file runs as a worker only");
const port = parentPort;
const settings = workerData as WorkerSettings;
/** Says whose the lock is, for the error of the next one who wants it; the lock itself is the kernel's, on the database. */
const ownerPath = `${settings.path}.owner`;
/**
 * Says how far was acknowledged. SQLite takes a damaged frame of its log for the end of it, and would drop what comes behind in
 * silence. Written after each commit and not fsynced: after a power cut it may be behind, never ahead.
 */
const seenPath = `${settings.path}.seen`;

function open(): DatabaseSync {
  create(settings.path);
  const db = new DatabaseSync(settings.path, { timeout: 0 });
  try {
    // Before the first access: the connection then keeps the lock until it ends, and needs no shared-memory file.
    db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
    // After a burst the log file shrinks back to this, 64 MiB.
    db.exec("PRAGMA journal_size_limit = 67108864; BEGIN IMMEDIATE;");
    const version = readVersion(db);
    if (version > schemaVersion) {
      throw new OpenError("newer-schema", `schema version ${version}; this version knows ${schemaVersion}`);
    }
    if (version === 1) addSums(db);
    db.exec(schema);
    // New with version 3: a zone that is older has no records of before.
    db.exec(auditSchema);
    const add = db.prepare("INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING");
    add.run("schema-version", String(schemaVersion));
    if (version > 0) db.prepare("UPDATE meta SET value = ? WHERE name = 'schema-version'").run(String(schemaVersion));
    add.run("zone-id", settings.zoneId);
    checkZone(db, add);
    db.exec("COMMIT");
    writeFileSync(ownerPath, `${process.pid}\n`, { mode: 0o600 });
    return db;
  } catch (error) {
    db.close();
    throw isBusy(error) ? new OpenError("locked", readOwner()) : error;
  }
}

/** A zone's id is in no object: it has a sum of its own, by which a changed or a lost one is noticed. */
function checkZone(db: DatabaseSync, add: StatementSync): void {
  const fact = db.prepare("SELECT value FROM meta WHERE name = ?");
  const sum = String(crc32(String(fact.get("zone-id")?.["value"])));
  add.run("zone-id-sum", sum);
  if (fact.get("zone-id-sum")?.["value"] !== sum)
    throw new OpenError("damaged", "its zone's id is not what its checksum says");
}

/** Version 1 had no sums: what is there now is taken as unharmed. */
function addSums(db: DatabaseSync): void {
  db.function("object_sum", { varargs: true }, (...columns) =>
    crc32(columns.map((column) => (column === null ? "" : column.toString())).join("\0")),
  );
  for (const table of ["objects", "changes"]) {
    db.exec(`ALTER TABLE ${table} ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
      UPDATE ${table} SET sum = object_sum(kind, id, project, name, revision, body)`);
  }
}

/** Makes the file for its owner's eyes only, and its directory entry durable. Does nothing where it exists. */
function create(path: string): void {
  try {
    // Never opens a file that is there: closing it again would drop a lock that this process has on it.
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return;
    throw error;
  }
  const directory = openSync(dirname(path), "r");
  fsyncSync(directory);
  closeSync(directory);
}

function readVersion(db: DatabaseSync): number {
  const table = db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'meta'").get();
  if (table === undefined) return 0;
  return Number(db.prepare("SELECT value FROM meta WHERE name = 'schema-version'").get()?.["value"] ?? 0);
}

function readOwner(): string {
  try {
    return readFileSync(ownerPath, "utf8").trim();
  } catch {
    return ""; // The lock's holder has not written it yet, or is no Skerry.
  }
}

function isBusy(error: unknown): boolean {
  const code = (error as { errcode?: number }).errcode ?? 0;
  return (code & 0xff) === 5 || (code & 0xff) === 6;
}

/** The newest revision that was acknowledged, as far as is known. */
function readSeen(): number {
  let text;
  try {
    text = readFileSync(seenPath, "latin1");
  } catch {
    return 0;
  }
  const [revision = "", sum] = text.trim().split(" ");
  return sum === String(crc32(revision)) ? Number(revision) : 0;
}

function makeSeen(): { note(revision: number): void; close(): void } {
  const file = openSync(seenPath, constants.O_RDWR | constants.O_CREAT, 0o600);
  return {
    note(revision) {
      const text = String(revision).padStart(16, "0");
      try {
        writeSync(file, `${text} ${String(crc32(text)).padEnd(10)}\n`, 0, "latin1");
      } catch {
        // What is committed stays so; the disk's trouble shows with the next commit.
      }
    },
    close: () => closeSync(file),
  };
}

function describe(db: DatabaseSync): Opened {
  const span = db.prepare("SELECT MIN(revision) AS oldest, MAX(revision) AS newest FROM changes").get();
  const revision = Number(span?.["newest"] ?? 0);
  const seen = readSeen();
  if (seen > revision) throw new OpenError("behind", `it ends at revision ${revision}, and ${seen} was acknowledged`);
  return {
    zoneId: String(db.prepare("SELECT value FROM meta WHERE name = 'zone-id'").get()?.["value"]),
    revision,
    trimmedThrough: Number(span?.["oldest"] ?? revision + 1) - 1,
    totals: readTotals(db),
    journalMode: String(db.prepare("PRAGMA journal_mode").get()?.["journal_mode"]),
    synchronous: Number(db.prepare("PRAGMA synchronous").get()?.["synchronous"]),
  };
}

const totalsName = "objects-total";

function readTotals(db: DatabaseSync): Totals | undefined {
  const row = db.prepare("SELECT value FROM meta WHERE name = ?").get(totalsName);
  const [count, sum] = typeof row?.["value"] === "string" ? row["value"].split(" ").map(Number) : [];
  return count === undefined || sum === undefined ? undefined : { count, sum };
}

/** For a store that has none: a new one, or one from which a damaged row was removed by hand. */
function makeTotals(db: DatabaseSync): Totals {
  const row = db.prepare("SELECT count(*) AS count, coalesce(sum(sum), 0) % 4294967296 AS sum FROM objects").get();
  return { count: Number(row?.["count"]), sum: Number(row?.["sum"]) };
}

function serve(db: DatabaseSync): (request: Request) => unknown {
  const putObject = db.prepare(
    `INSERT INTO objects (kind, id, project, name, revision, body, sum) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (kind, id) DO UPDATE SET project = excluded.project, name = excluded.name,
       revision = excluded.revision, body = excluded.body, sum = excluded.sum`,
  );
  const deleteObject = db.prepare("DELETE FROM objects WHERE kind = ? AND id = ?");
  const addChange = db.prepare(
    "INSERT INTO changes (revision, kind, id, project, name, type, body, time_ms, sum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
  );
  const trim = db.prepare("DELETE FROM changes WHERE revision <= ?");
  const readObjects = db.prepare(
    `SELECT kind, id, project, name, revision, body, sum FROM objects WHERE (kind, id) > (?, ?) ORDER BY kind, id LIMIT ?`,
  );
  readObjects.setReturnArrays(true);
  const readChanges = db.prepare(
    `SELECT revision, kind, id, project, name, type, body, time_ms AS "timeMs", sum FROM changes
     WHERE revision > ? ORDER BY revision LIMIT ?`,
  );

  const sumOf = db.prepare("SELECT sum FROM objects WHERE kind = ? AND id = ?");
  const bodyOf = db.prepare("SELECT sum, body FROM objects WHERE kind = ? AND id = ?");
  const audit = openAuditTable(db);
  const putTotals = db.prepare(
    "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
  );
  let totals = readTotals(db) ?? makeTotals(db);
  const seen = makeSeen();

  let auditHead = audit.head();

  /** Takes each change as it is found, and writes the records of those that are noted. */
  const recorder = (noted: readonly Noted[], previous: AuditHead) => {
    let index = 0;
    let draft: RecordDraft | undefined;
    let head = previous;
    return {
      head: () => head,
      isNoted: (revision: number): boolean => (noted[index]?.first ?? Infinity) <= revision,
      take(row: ChangeRow, before: string | undefined): void {
        const current = noted[index];
        if (current === undefined) return;
        draft ??= new RecordDraft(current);
        draft.add(row, before);
        if (row.revision < current.last) return;
        const record = draft.end(head);
        audit.add(record);
        head = { seq: record.seq, hash: record.hash };
        draft = undefined;
        index += 1;
      },
    };
  };

  const commit = (changes: readonly ChangeRow[], noted: readonly Noted[]): void => {
    db.exec("BEGIN IMMEDIATE");
    try {
      let { count, sum: all } = totals;
      const records = recorder(noted, auditHead);
      for (const row of changes) {
        const { revision, kind, id, project, name, type, body, timeMs, sum } = row;
        const isNoted = records.isNoted(revision);
        const found = (isNoted ? bodyOf : sumOf).get(kind, id);
        if (isNoted) records.take(row, found?.["body"] as string | undefined);
        const before = found?.["sum"];
        if (before !== undefined) {
          count -= 1;
          all -= Number(before);
        }
        if (type === "deleted") {
          deleteObject.run(kind, id);
        } else {
          putObject.run(kind, id, project, name, revision, body, sum);
          count += 1;
          all += sum;
        }
        addChange.run(revision, kind, id, project, name, type, body, timeMs, sum);
      }
      const next = { count, sum: ((all % 2 ** 32) + 2 ** 32) % 2 ** 32 };
      putTotals.run(totalsName, `${next.count} ${next.sum}`);
      trim.run((changes.at(-1)?.revision ?? 0) - settings.keep);
      db.exec("COMMIT");
      totals = next;
      auditHead = records.head();
      seen.note(changes.at(-1)?.revision ?? 0);
    } catch (error) {
      if (db.isTransaction) db.exec("ROLLBACK");
      throw error;
    }
  };
  const packer = new Packer();
  const objects = ({ kind, id }: ObjectPlace): PackedRows =>
    packer.pack(readObjects.all(kind, id, loadedRows) as unknown as readonly ReadRow[]);

  return (request) => {
    switch (request.type) {
      case "commit":
        return commit(request.changes, request.noted);
      case "objects":
        return objects(request.after);
      case "changes":
        return readChanges.all(request.after, request.limit);
      case "audit":
        return audit.read(request.query);
      case "audit-head":
        return audit.headAt(request.revision);
      case "audit-base":
        audit.start(request.base);
        auditHead = audit.head();
        return undefined;
      case "close":
        db.close();
        seen.close();
        rmSync(ownerPath, { force: true });
        // With no port to listen on, the thread ends.
        return port.unref();
    }
  };
}

function failureOf(error: unknown): Failure {
  const { errcode, message } = error as { errcode?: number; message: string };
  if (error instanceof OpenError) return { reason: error.reason, message };
  return errcode === undefined ? { reason: "system", message } : { reason: "sqlite", code: errcode, message };
}

function attempt(work: () => unknown): Reply {
  try {
    return { ok: true, value: work() };
  } catch (error) {
    return { ok: false, failure: failureOf(error) };
  }
}

let answer: ((request: Request) => unknown) | undefined;
const opened = attempt(() => {
  const db = open();
  const handle = serve(db);
  const description = describe(db);
  // Only a database that could be read is served: with nothing to answer, the thread ends.
  answer = handle;
  return description;
});
port.postMessage(opened);
if (answer !== undefined) {
  const handle = answer;
  port.on("message", (request: Request) => {
    const reply = attempt(() => handle(request));
    const moved = request.type === "objects" && reply.ok ? buffersOf(reply.value as PackedRows) : [];
    port.postMessage(reply, moved);
  });
}
