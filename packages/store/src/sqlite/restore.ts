import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { SkerryError } from "@skerry/model";
import type { BackupContent } from "../backup/backup-file.ts";
import { restoreInto } from "../backup/restore.ts";
import type { CommitLog } from "../commit-log.ts";
import { changeRow } from "../rows.ts";
import { Database } from "./database.ts";

/**
 * Makes a new database of a backup; the file appears when it is whole.
 * @returns the revision that the store starts at
 * @throws SkerryError already-exists where there is a file
 */
export async function restoreSqlite(path: string, content: BackupContent, nowMs: number): Promise<number> {
  if (existsSync(path)) {
    throw new SkerryError("already-exists", `There is a store at ${path} already.`, {
      remedy: "Restore into an empty data directory; move the old one aside, don't delete it yet.",
    });
  }
  const draft = `${path}.restoring`;
  await removeDatabase(draft);
  const revision = await fill(draft, content, nowMs);
  // What stands beside a database that is gone says nothing of this one.
  await removeDatabase(path);
  await rename(draft, path);
  await removeDatabase(draft);
  return revision;
}

async function fill(path: string, content: BackupContent, nowMs: number): Promise<number> {
  const database = new Database({ path, keep: Number.MAX_SAFE_INTEGER, zoneId: content.head.zoneId });
  try {
    await database.opened;
    if (content.audit !== undefined) await database.startAudit(content.audit);
    const log: Pick<CommitLog, "commit"> = {
      commit: (changes, noted) => database.commit(changes.map(changeRow), noted),
    };
    return await restoreInto(log, content, nowMs);
  } finally {
    await database.close();
  }
}

async function removeDatabase(path: string): Promise<void> {
  for (const suffix of ["", "-wal", ".owner", ".seen"]) await rm(`${path}${suffix}`, { force: true });
}
