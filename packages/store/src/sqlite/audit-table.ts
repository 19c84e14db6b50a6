import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import { firstHead, type AuditHead } from "../audit/chain.ts";
import {
  nextOf,
  rangeOf,
  search,
  takenOf,
  type AuditPage,
  type AuditQuery,
  type AuditRecord,
  type Range,
} from "../audit/note.ts";
import { within, type AuditRow } from "../audit/record.ts";

export const auditSchema = `
  CREATE TABLE IF NOT EXISTS audit (
    seq INTEGER PRIMARY KEY, revision INTEGER NOT NULL, time_ms INTEGER NOT NULL, actor TEXT NOT NULL, kinds TEXT NOT NULL,
    projects TEXT NOT NULL, operation TEXT, bytes INTEGER NOT NULL, hash TEXT NOT NULL, record TEXT NOT NULL
  );
  CREATE INDEX IF NOT EXISTS audit_operation ON audit (operation) WHERE operation IS NOT NULL;`;

const baseName = "audit-base";

/** The audit log's table. */
export interface AuditTable {
  /** The newest record. */
  head(): AuditHead;
  add(row: AuditRow): void;
  read(query: AuditQuery): AuditPage;
  headAt(revision: number): AuditHead;
  start(base: AuditHead): void;
}

export function openAuditTable(db: DatabaseSync): AuditTable {
  const insert = db.prepare(
    `INSERT INTO audit (seq, revision, time_ms, actor, kinds, projects, operation, bytes, hash, record)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const newest = db.prepare("SELECT seq, hash FROM audit WHERE revision <= ? ORDER BY seq DESC LIMIT 1");
  const one = db.prepare("SELECT seq, hash FROM audit WHERE seq = ?");
  const revisionOf = db.prepare("SELECT revision FROM audit WHERE seq = ?");
  const fact = db.prepare("SELECT value FROM meta WHERE name = ?");
  const putFact = db.prepare(
    "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
  );

  const base = (): AuditHead => {
    const [seq, hash] = String(fact.get(baseName)?.["value"] ?? "").split(" ");
    if (seq !== undefined && hash !== undefined) return { seq: Number(seq), hash };
    return firstHead(String(fact.get("zone-id")?.["value"]));
  };
  const headAt = (revision: number): AuditHead => (newest.get(revision) as AuditHead | undefined) ?? base();
  const head = (): AuditHead => headAt(Number.MAX_SAFE_INTEGER);

  const reaching = (revision: number, from: number, to: number): Range => {
    const looks = search(revision, from, to);
    let look = looks.next();
    while (look.done !== true) look = looks.next(Number(revisionOf.get(look.value)?.["revision"]));
    return { from: look.value - 1, to: look.value };
  };

  return {
    head,
    headAt,
    add(row) {
      const { seq, revision, timeMs, actor, kinds, projects, operation, bytes, hash, record } = row;
      insert.run(seq, revision, timeMs, actor, kinds, projects, operation, bytes, hash, record);
    },
    start: ({ seq, hash }) => void putFact.run(baseName, `${seq} ${hash}`),
    read(query) {
      const last = head();
      const first = base();
      const { revision } = query;
      const range = revision === undefined ? rangeOf(query, first, last) : reaching(revision, first.seq, last.seq);
      const [conditions, values] = conditionsOf(query);
      const order = query.after === undefined ? "DESC" : "ASC";
      const rows = `FROM audit WHERE seq > ? AND seq <= ?${conditions} ORDER BY seq ${order} LIMIT ?`;
      const found = db
        .prepare(`SELECT bytes ${rows}`)
        .all(range.from, range.to, ...values, query.limit)
        .map((row) => Number(row["bytes"]));
      const taken = takenOf(found);
      const records = db
        .prepare(`SELECT seq, hash, record ${rows}`)
        .all(range.from, range.to, ...values, taken) as unknown as AuditRecord[];
      if (query.after === undefined) records.reverse();
      const start = (range.from === first.seq ? undefined : (one.get(range.from) as AuditHead | undefined)) ?? first;
      const isWhole = taken === found.length && found.length < query.limit;
      return { records, start, head: last, ...nextOf(query, range, last, records, isWhole) };
    },
  };
}

function conditionsOf(query: AuditQuery): readonly [text: string, values: SQLInputValue[]] {
  const { actor, kind, project, sinceMs, operation } = query;
  const wanted: readonly (readonly [string, SQLInputValue | undefined])[] = [
    ["actor = ?", actor],
    ["kinds LIKE ?", kind === undefined ? undefined : within(kind)],
    ["projects LIKE ?", project === undefined ? undefined : within(project)],
    ["time_ms >= ?", sinceMs],
    ["operation = ?", operation],
  ];
  const given = wanted.flatMap(([text, value]) => (value === undefined ? [] : [{ text, value }]));
  return [given.map(({ text }) => ` AND ${text}`).join(""), given.map(({ value }) => value)];
}
