import type { ObjectPlace } from "../load-state.ts";
import type { AuditHead } from "../audit/chain.ts";
import type { AuditQuery } from "../audit/note.ts";
import type { Noted } from "../audit/record.ts";
import type { ChangeRow, Totals } from "../rows.ts";

/** What the main thread asks of the commit worker; each request gets one reply, in order. Types only. */
export type Request =
  | { readonly type: "commit"; readonly changes: readonly ChangeRow[]; readonly noted: readonly Noted[] }
  | { readonly type: "objects"; readonly after: ObjectPlace }
  | { readonly type: "changes"; readonly after: number; readonly limit: number }
  | { readonly type: "audit"; readonly query: AuditQuery }
  | { readonly type: "audit-head"; readonly revision: number }
  | { readonly type: "audit-base"; readonly base: AuditHead }
  | { readonly type: "close" };

/** What the worker is started with. */
export interface WorkerSettings {
  readonly path: string;
  /** How many changes the log keeps. */
  readonly keep: number;
  /** Used where the database is new. */
  readonly zoneId: string;
}

/** The first reply, to no request: the database is open and the lock held. */
export interface Opened {
  readonly zoneId: string;
  /** Of the newest change; 0 where there is none. */
  readonly revision: number;
  /** The newest revision that the log no longer has. */
  readonly trimmedThrough: number;
  /** What the objects add up to; undefined where nothing says so. */
  readonly totals: Totals | undefined;
  /** As read back from the connection that commits. */
  readonly journalMode: string;
  readonly synchronous: number;
}

/** Why a request failed: SQLite's result code where it was SQLite, and what it said. */
export interface Failure {
  readonly reason: "sqlite" | "locked" | "newer-schema" | "damaged" | "behind" | "system";
  readonly code?: number;
  readonly message: string;
}

export type Reply = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly failure: Failure };
