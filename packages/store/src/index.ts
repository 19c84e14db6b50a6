export type {
  Before,
  ChangeEvent,
  Committed,
  Documents,
  Key,
  Label,
  OutlinedKind,
  OwnChange,
  Store,
  StoredDocument,
  Tracker,
  Transaction,
  View,
} from "./store.ts";
export { chainHash, type AuditHead } from "./audit/chain.ts";
export { exportHead, exportLine, verifyExport, type ExportFault, type ExportProof } from "./audit/export-file.ts";
export type { AuditNote, AuditPage, AuditQuery, AuditRecord, AuditTrail } from "./audit/note.ts";
export type { ReplicatedStore, Role } from "./replicated-store.ts";
export type { PostgresStoreOptions } from "./postgres/open.ts";
export { openPostgresStore, restorePostgres } from "./postgres/on-demand.ts";
export { openSqliteStore, type SqliteStoreOptions } from "./sqlite/open.ts";
export { makeBackup } from "./backup/make-backup.ts";
export { readBackup, type BackupContent } from "./backup/backup-file.ts";
export { restoreSqlite } from "./sqlite/restore.ts";
export { withWrites } from "./transaction.ts";
