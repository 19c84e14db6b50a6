import { firstHead, type AuditHead } from "../audit/chain.ts";
import {
  nextOf,
  rangeOf,
  search,
  takenOf,
  type AuditPage,
  type AuditQuery,
  type AuditRecord,
  type AuditTrail,
  type Range,
} from "../audit/note.ts";
import { RecordDraft, within, type AuditRow, type Noted } from "../audit/record.ts";
import type { Change } from "../object.ts";
import type { ChangeRow } from "../rows.ts";
import type { Statements } from "./connection.ts";

const baseName = "audit-base";

/** The records of a commit, which follow on `head`. What an object was is made into JSON here, on the main thread: 2 us a kilobyte. */
export function recordsOf(
  noted: readonly Noted[],
  changes: readonly Change[],
  rows: readonly ChangeRow[],
  head: AuditHead,
): readonly AuditRow[] {
  const records: AuditRow[] = [];
  let at = 0;
  for (const one of noted) {
    const draft = new RecordDraft(one);
    while ((rows[at]?.revision ?? Infinity) < one.first) at += 1;
    for (let row = rows[at]; row !== undefined && row.revision <= one.last; row = rows[++at]) {
      const before = changes[at]?.before;
      const isMasked = one.masked?.[row.revision] !== undefined;
      draft.add(row, before === undefined || isMasked ? undefined : JSON.stringify(before));
    }
    records.push(draft.end(records.at(-1) ?? head));
  }
  return records;
}

/** The newest record, or what the first one is to follow on. */
export async function readAuditHead(
  connection: Statements,
  zoneId: string,
  revision = Number.MAX_SAFE_INTEGER,
): Promise<AuditHead> {
  const text = "SELECT seq, hash FROM skerry_audit WHERE revision <= $1 ORDER BY seq DESC LIMIT 1";
  const [row] = await connection.query<Wide<AuditHead>>({ name: "audit-head", text, values: [revision] });
  return row === undefined ? readBase(connection, zoneId) : { seq: Number(row.seq), hash: row.hash };
}

/** Has the first record to come follow on this one, which is not here. */
export async function startAudit(connection: Statements, { seq, hash }: AuditHead): Promise<void> {
  const text = `INSERT INTO skerry_meta (name, value) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value`;
  await connection.query({ text, values: [baseName, `${seq} ${hash}`] });
}

async function readBase(connection: Statements, zoneId: string): Promise<AuditHead> {
  const text = "SELECT value FROM skerry_meta WHERE name = $1";
  const [row] = await connection.query<{ value: string }>({ text, values: [baseName] });
  const [seq, hash] = (row?.value ?? "").split(" ");
  return seq === undefined || hash === undefined ? firstHead(zoneId) : { seq: Number(seq), hash };
}

/** PostgreSQL's client gives wide numbers as text. */
type Wide<T> = { readonly [K in keyof T]: T[K] extends number ? string : T[K] };

export function auditTrail(connection: Statements, zoneId: string): AuditTrail {
  return {
    headAt: (revision) => readAuditHead(connection, zoneId, revision),
    async read(query): Promise<AuditPage> {
      // Nothing up to the head changes any more, so that these need not be one transaction.
      const head = await readAuditHead(connection, zoneId);
      const base = await readBase(connection, zoneId);
      const { revision } = query;
      const range =
        revision === undefined ? rangeOf(query, base, head) : await reaching(connection, revision, base.seq, head.seq);
      const [conditions, values] = conditionsOf(query, [range.from, range.to, query.limit]);
      const order = query.after === undefined ? "DESC" : "ASC";
      const rows = `FROM skerry_audit WHERE seq > $1 AND seq <= $2${conditions} ORDER BY seq ${order} LIMIT $3`;
      const sizes = await connection.query<{ bytes: string }>({ text: `SELECT bytes ${rows}`, values });
      const taken = takenOf(sizes.map(({ bytes }) => Number(bytes)));
      const [, , , ...wanted] = values;
      const found = await connection.query<Wide<AuditRecord>>({
        text: `SELECT seq, hash, record ${rows}`,
        values: [range.from, range.to, taken, ...wanted],
      });
      const records = found.map((row) => ({ ...row, seq: Number(row.seq) }));
      if (query.after === undefined) records.reverse();
      const isWhole = taken === sizes.length && sizes.length < query.limit;
      const start = (await readOne(connection, range.from, base)) ?? base;
      return { records, start, head, ...nextOf(query, range, head, records, isWhole) };
    },
  };
}

async function reaching(connection: Statements, revision: number, from: number, to: number): Promise<Range> {
  const looks = search(revision, from, to);
  let look = looks.next();
  while (look.done !== true) {
    const text = "SELECT revision FROM skerry_audit WHERE seq = $1";
    const [row] = await connection.query<{ revision: string }>({ name: "audit-revision", text, values: [look.value] });
    look = looks.next(Number(row?.revision));
  }
  return { from: look.value - 1, to: look.value };
}

async function readOne(connection: Statements, seq: number, base: AuditHead): Promise<AuditHead | undefined> {
  if (seq === base.seq) return base;
  const text = "SELECT hash FROM skerry_audit WHERE seq = $1";
  const [row] = await connection.query<{ hash: string }>({ text, values: [seq] });
  return row === undefined ? undefined : { seq, hash: row.hash };
}

function conditionsOf(
  { actor, kind, project, sinceMs, operation }: AuditQuery,
  before: readonly unknown[],
): readonly [text: string, values: readonly unknown[]] {
  const wanted: readonly (readonly [string, unknown])[] = [
    ["actor =", actor],
    ["kinds LIKE", kind === undefined ? undefined : within(kind)],
    ["projects LIKE", project === undefined ? undefined : within(project)],
    ["time_ms >=", sinceMs],
    ["operation =", operation],
  ];
  const values = [...before];
  let text = "";
  for (const [condition, value] of wanted) if (value !== undefined) text += ` AND ${condition} $${values.push(value)}`;
  return [text, values];
}
