import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { SkerryError } from "@skerry/model";
import type { AuditHead } from "../audit/chain.ts";
import type { AuditTrail } from "../audit/note.ts";
import type { AuditRow, Noted } from "../audit/record.ts";
import { LostLeadership, type CommitLog } from "../commit-log.ts";
import type { Change } from "../object.ts";
import { changeRow, readChange, type ChangeRow, type Origin } from "../rows.ts";
import type { ChangeEvent } from "../store.ts";
import { auditTrail, readAuditHead, recordsOf } from "./audit-table.ts";
import { ConnectionLost, type Statements } from "./connection.ts";
import { readLeadership } from "./leadership.ts";

/**
 * One statement, so one round trip and all or nothing. Taking the leadership's row first makes it wait for any other that
 * wants to lead, and do nothing once another epoch stands there; it is a sign of life as well.
 */
const commitText = `
  WITH leader AS (
    UPDATE skerry_leadership SET renewals = renewals + 1 WHERE one = 1 AND epoch = $1 RETURNING epoch
  ), logged AS (
    INSERT INTO skerry_changes (revision, epoch, kind, id, project, name, type, body, time_ms, sum)
    SELECT c.revision, leader.epoch, c.kind, c.id, c.project, c.name, c.type, c.body, c.time_ms, c.sum
    FROM leader, unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[],
      $10::bigint[]) AS c(revision, kind, id, project, name, type, body, time_ms, sum)
  ), gone AS (
    DELETE FROM skerry_objects AS o USING leader, unnest($11::text[], $12::text[]) AS g(kind, id)
    WHERE o.kind = g.kind AND o.id = g.id
  ), kept AS (
    INSERT INTO skerry_objects (kind, id, project, name, revision, body, sum)
    SELECT k.kind, k.id, k.project, k.name, k.revision, k.body, k.sum
    FROM leader, unnest($13::text[], $14::text[], $15::text[], $16::text[], $17::bigint[], $18::text[],
      $19::bigint[]) AS k(kind, id, project, name, revision, body, sum)
    ON CONFLICT (kind, id) DO UPDATE SET project = excluded.project, name = excluded.name,
      revision = excluded.revision, body = excluded.body, sum = excluded.sum
  ), noted AS (
    INSERT INTO skerry_audit (seq, epoch, revision, time_ms, actor, kinds, projects, operation, bytes, hash, record)
    SELECT a.seq, leader.epoch, a.revision, a.time_ms, a.actor, a.kinds, a.projects, a.operation, a.bytes, a.hash, a.record
    FROM leader, unnest($20::bigint[], $21::bigint[], $22::bigint[], $23::text[], $24::text[], $25::text[], $26::text[],
      $27::bigint[], $28::text[], $29::text[])
      AS a(seq, revision, time_ms, actor, kinds, projects, operation, bytes, hash, record)
  ) SELECT epoch FROM leader`;

/** SQLSTATE: the disk is full; a revision is there already; worth another try. */
const diskFull = "53100";
const uniqueViolation = "23505";
const transient: readonly string[] = ["40001", "40P01", "53300", "55P03"];

const pauseMs = 50;
const freeSpace =
  "Free some space there, and start PostgreSQL again where that has ended it; Skerry goes on by itself then.";

export interface PostgresLogParts {
  readonly origin: Origin;
  readonly zoneId: string;
  /** For commits alone. */
  readonly writer: Statements;
  readonly reader: Statements;
  /** How long a commit is tried while the database can't be reached. */
  readonly patienceMs: number;
  readonly keep: number;
  /** Milliseconds of a clock that never jumps and counts suspended time: the replica's. */
  readonly monotonicMs: () => number;
}

/** The revision log in PostgreSQL: only the leader of the current epoch can add to it. */
export class PostgresLog implements CommitLog {
  readonly #parts: PostgresLogParts;
  #trimAt = 0;
  #epoch = 0;
  /** The newest audit record, as long as nobody else adds any: while it leads. */
  #auditHead: AuditHead | undefined;
  readonly audit: AuditTrail;
  /** When the commit that the database took last was asked for, by the monotonic clock; each is a sign of the leader's life. */
  lastCommitMs = 0;

  constructor(parts: PostgresLogParts) {
    this.#parts = parts;
    const trail = auditTrail(parts.reader, parts.zoneId);
    this.audit = {
      read: (query) => this.#patiently(() => trail.read(query)),
      headAt: (revision) => this.#patiently(() => trail.headAt(revision)),
    };
  }

  /** Makes commits under this epoch from now on, which leads already: no other one's can come in any more. */
  async lead(epoch: number): Promise<void> {
    this.#auditHead = await readAuditHead(this.#parts.writer, this.#parts.zoneId);
    this.#epoch = epoch;
  }

  async commit(changes: readonly Change[], noted: readonly Noted[] = []): Promise<void> {
    const epoch = this.#epoch;
    const rows = changes.map(changeRow);
    if (this.#auditHead === undefined) throw new Error("a log that does not lead was to be added to");
    const records = recordsOf(noted, changes, rows, this.#auditHead);
    const askedMs = this.#parts.monotonicMs();
    const statement = { name: "commit", text: commitText, values: commitValues(epoch, rows, records) };
    // Time in which it was tried: while suspended it was not.
    const untilMs = performance.now() + this.#parts.patienceMs;
    const last = rows.at(-1)?.revision ?? 0;
    // Only the first answer is plain. After any failure the log itself is asked whether the changes are in it.
    let isOpen = false;
    let refused: unknown;
    let full: unknown;
    for (let attempt = 1; ; attempt++) {
      try {
        const fate = attempt === 1 ? "open" : await this.#fateOf(epoch, last);
        if (fate === "deposed") throw deposed();
        if (fate === "open" && refused !== undefined) {
          throw isOpen ? new LostLeadership(unknown(refused, full)) : failed(this.#parts.origin, refused);
        }
        if (fate === "done" || (await this.#parts.writer.query(statement)).length === 1) {
          this.lastCommitMs = askedMs;
          this.#auditHead = records.at(-1) ?? this.#auditHead;
          return await this.#trim(last);
        }
      } catch (error) {
        if (error instanceof LostLeadership || error instanceof SkerryError) throw error;
        // Refused, where the server lives on. One that can't write its own log says the same and dies, and may find the
        // changes in it when it is back; so may whatever a lost connection left behind.
        refused = isDiskFull(error) ? error : undefined;
        full = refused ?? full;
        isOpen ||= error instanceof ConnectionLost;
        if (performance.now() > untilMs) throw new LostLeadership(unknown(error, full));
        if (refused !== undefined && attempt === 1) continue;
        if (refused === undefined && !isWorthAnotherTry(error)) throw failed(this.#parts.origin, error);
        await delay(pauseMs);
      }
    }
  }

  /** Whether this epoch's changes up to `revision` are in the log, can still come in, or never will. */
  async #fateOf(epoch: number, revision: number): Promise<"done" | "open" | "deposed"> {
    // In this order: an epoch that has ended can't add anything between the two readings.
    const leadership = await readLeadership(this.#parts.writer);
    const text = "SELECT epoch FROM skerry_changes WHERE revision = $1";
    const [found] = await this.#parts.writer.query<{ epoch: string }>({ text, values: [revision] });
    if (found !== undefined && Number(found.epoch) === epoch) return "done";
    return leadership.epoch === epoch ? "open" : "deposed";
  }

  async #trim(last: number): Promise<void> {
    if (last < this.#trimAt) return;
    this.#trimAt = last + 1000;
    const text = "DELETE FROM skerry_changes WHERE revision <= $1";
    try {
      await this.#parts.writer.query({ text, values: [last - this.#parts.keep] });
    } catch {
      // What is left over goes the next time; the commit before it stands.
    }
  }

  /** For consumers that are behind: a database that is away for a moment does not end them. */
  read(after: number, limit: number): Promise<readonly ChangeEvent[]> {
    return this.#patiently(() => this.readOnce(after, limit));
  }

  async #patiently<T>(work: () => Promise<T>): Promise<T> {
    const untilMs = performance.now() + this.#parts.patienceMs;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw error;
        if (performance.now() > untilMs) throw failed(this.#parts.origin, error);
        await delay(pauseMs);
      }
    }
  }

  /** @throws ConnectionLost at once */
  async readOnce(after: number, limit: number): Promise<readonly ChangeEvent[]> {
    const text = `SELECT revision, kind, id, project, name, type, body, time_ms AS "timeMs", sum FROM skerry_changes
      WHERE revision > $1 ORDER BY revision LIMIT $2`;
    type Row = Omit<ChangeRow, Wide> & Readonly<Record<Wide, string>>;
    const { reader, origin } = this.#parts;
    const rows = await reader.query<Row>({ name: "read-changes", text, values: [after, limit] });
    return rows.map((row) =>
      readChange(origin, { ...row, revision: Number(row.revision), timeMs: Number(row.timeMs), sum: Number(row.sum) }),
    );
  }

  async close(): Promise<void> {
    await Promise.all([this.#parts.writer.close(), this.#parts.reader.close()]);
  }
}

/** Columns that PostgreSQL's client gives as text, since they may be wider than a number. */
type Wide = "revision" | "timeMs" | "sum";

/** In the order of the statement's last parameters. */
const auditColumns = [
  "seq",
  "revision",
  "timeMs",
  "actor",
  "kinds",
  "projects",
  "operation",
  "bytes",
  "hash",
  "record",
] as const;

function commitValues(epoch: number, rows: readonly ChangeRow[], records: readonly AuditRow[]): readonly unknown[] {
  // Of several changes of one object in a batch the last one decides what is kept.
  const final = new Map<string, ChangeRow>();
  for (const row of rows) final.set(`${row.kind} ${row.id}`, row);
  const gone = [...final.values()].filter((row) => row.type === "deleted");
  const kept = [...final.values()].filter((row) => row.type !== "deleted");
  const column = <T, K extends keyof T>(from: readonly T[], key: K): readonly T[K][] => from.map((row) => row[key]);
  return [
    epoch,
    ...(["revision", "kind", "id", "project", "name", "type", "body", "timeMs", "sum"] as const).map((key) =>
      column(rows, key),
    ),
    ...(["kind", "id"] as const).map((key) => column(gone, key)),
    ...(["kind", "id", "project", "name", "revision", "body", "sum"] as const).map((key) => column(kept, key)),
    ...auditColumns.map((key) => column(records, key)),
  ];
}

function isWorthAnotherTry(error: unknown): boolean {
  if (error instanceof ConnectionLost) return true;
  // The statement of a lost connection may have been carried out while it was sent again.
  const code = error instanceof pg.DatabaseError ? error.code : undefined;
  return code === uniqueViolation || transient.includes(code ?? "");
}

export function isDiskFull(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === diskFull;
}

function failed({ store }: Origin, error: unknown): SkerryError {
  const { code, message } = error as { code?: string; message: string };
  if (code === diskFull) {
    return new SkerryError("storage-full", `The disk of the database ${store} is full; nothing was written.`, {
      remedy: freeSpace,
      cause: error,
    });
  }
  return new SkerryError("unavailable", `The database ${store} has failed: ${message} (${code ?? "no code"}).`, {
    remedy: "Look at PostgreSQL's log, mend what it says, and start Skerry again.",
    cause: error,
  });
}

function deposed(): LostLeadership {
  return new LostLeadership(
    new SkerryError("unavailable", "Another replica leads now; this change was not made.", {
      remedy: "Ask again: any replica passes it on.",
      facts: { applied: "no" },
    }),
  );
}

/** @param full what the database said of its disk, where it said so before */
function unknown(cause: unknown, full: unknown): SkerryError {
  const open = "it isn't known whether the change was made";
  const details = { remedy: "Look whether it was before asking again.", facts: { applied: "unknown" }, cause };
  if (full === undefined) return new SkerryError("unavailable", `The database can't be reached; ${open}.`, details);
  const remedy = `${freeSpace} Look whether it was made before asking again.`;
  return new SkerryError("storage-full", `The disk of the database is full; ${open}.`, { ...details, remedy });
}
