import { join } from "node:path";
import { restorePostgres, restoreSqlite } from "@skerry/store";
import { openAuthority } from "../pki/authority.ts";
import { readBackupFolder, restoreFiles, summaryOf, type BackupSummary } from "./backup-folder.ts";

export interface RestoreOptions {
  /** Where the control plane is to live: empty, or not there yet. */
  readonly dataDir: string;
  /** postgres://… of an empty database; a file in the data directory where absent. */
  readonly store?: string | undefined;
  readonly imagesDir?: string | undefined;
}

/**
 * Makes a control plane of a backup, which is checked as a whole first. It has what it had, and says to all who remember more
 * that they must look anew; nodes that run what the backup does not know of keep it running.
 * @throws SkerryError digest-mismatch, already-exists, storage-full; what is restored by then is named by the error's path
 */
export async function restoreBackupFolder(folder: string, options: RestoreOptions): Promise<BackupSummary> {
  const content = await readBackupFolder(folder);
  const { dataDir, store } = options;
  const nowMs = Date.now();
  await restoreFiles(folder, content, dataDir, options.imagesDir ?? join(dataDir, "images"));
  // The store last: without it the directory starts no zone.
  if (store === undefined) {
    await restoreSqlite(join(dataDir, "state.db"), content, nowMs);
  } else {
    const { fingerprint } = await openAuthority(join(dataDir, "pki"), () => nowMs);
    await restorePostgres({ url: store, family: fingerprint }, content, nowMs);
  }
  return summaryOf(content);
}
