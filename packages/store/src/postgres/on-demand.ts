import type { BackupContent } from "../backup/backup-file.ts";
import type { ReplicatedStore } from "../replicated-store.ts";
import type { PostgresStoreOptions } from "./open.ts";
import type { PostgresRestoreOptions } from "./restore.ts";

/** See open.ts; its client is loaded now, and not by every start. */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<ReplicatedStore> {
  const { openPostgresStore: open } = await import("./open.ts");
  return open(options);
}

/** See restore.ts. */
export async function restorePostgres(
  options: PostgresRestoreOptions,
  content: BackupContent,
  nowMs: number,
): Promise<number> {
  const { restorePostgres: restore } = await import("./restore.ts");
  return restore(options, content, nowMs);
}
