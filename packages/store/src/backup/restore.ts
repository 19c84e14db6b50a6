import { SkerryError } from "@skerry/model";
import { notedOf } from "../audit/noted.ts";
import type { CommitLog } from "../commit-log.ts";
import type { Change, StoredObject } from "../object.ts";
import type { BackupContent } from "./backup-file.ts";

const batchSize = 500;
/**
 * Nodes and watchers may have seen newer revisions than the backup has. From here on none of those is given again, so that
 * whoever kept one learns that it must look anew.
 */
const revisionGap = 1_000_000_000;

/**
 * Writes what a backup holds into an empty log: each object with the revision that it had, then one change of the oldest one, far
 * ahead of all that the lost store can have given.
 * @returns the revision that the restored store starts at
 */
export async function restoreInto(
  log: Pick<CommitLog, "commit">,
  content: BackupContent,
  nowMs: number,
): Promise<number> {
  const [oldest] = content.objects;
  if (oldest === undefined) throw new SkerryError("invalid-request", "The backup holds no objects.");
  for (let from = 0; from < content.objects.length; from += batchSize) {
    await log.commit(content.objects.slice(from, from + batchSize).map((object) => changeOf(object, "created", nowMs)));
  }
  const revision = content.revision + revisionGap;
  const updatedAt = new Date(nowMs).toISOString();
  const touched = { ...oldest, metadata: { ...oldest.metadata, revision, updatedAt } };
  const touch = { ...changeOf(touched, "updated", nowMs), before: oldest };
  const note = { actor: { name: "system" }, cause: `restoration of the backup of ${content.head.createdAt}` };
  const noted = notedOf(note, [touch]);
  await log.commit([touch], noted === undefined ? [] : [noted]);
  return revision;
}

function changeOf(object: StoredObject, type: "created" | "updated", timeMs: number): Change {
  const { kind, metadata } = object;
  const { revision, id, project, name } = metadata;
  const event = { revision, kind, id, project, name, type, object, json: JSON.stringify(object) };
  return { event, timeMs };
}
