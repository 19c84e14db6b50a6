import { SkerryError } from "@skerry/model";
import type { Failure } from "./messages.ts";

/** SQLite's primary result codes that have a meaning of their own here. */
const corrupt = 11;
const full = 13;
const notADatabase = 26;

/** What a failure of the commit worker means, and the way out. */
export function failed(path: string, failure: Failure): SkerryError {
  switch (failure.reason) {
    case "locked":
      return locked(path, failure.message);
    case "newer-schema":
      return new SkerryError("unavailable", `The store ${path} was written by a newer Skerry (${failure.message}).`, {
        remedy: "Run that newer version, or restore a backup that was made before it.",
      });
    case "damaged":
      return new SkerryError("unavailable", `The store ${path} is damaged: ${failure.message}.`, {
        remedy: "Restore the latest backup of it.",
      });
    case "behind":
      return new SkerryError("unavailable", `The store ${path} has lost changes: ${failure.message}.`, {
        remedy:
          `Its ${path}-wal is damaged or was not brought along: put the right one back, or restore the latest backup. To go on ` +
          `without what is lost, stop Skerry and remove ${path}.seen.`,
      });
    case "system":
      return new SkerryError("unavailable", `The store ${path} cannot be used: ${failure.message}.`, {
        remedy: "Check that the directory exists and that this user may write to it.",
      });
    case "sqlite":
      return sqlite(path, failure.code ?? 0, failure.message);
  }
}

function sqlite(path: string, code: number, message: string): SkerryError {
  switch (code & 0xff) {
    case full:
      return new SkerryError("storage-full", `The disk that holds ${path} is full; nothing was written.`, {
        remedy: "Free some space there; Skerry goes on by itself then.",
      });
    case corrupt:
    case notADatabase:
      return new SkerryError("unavailable", `The file ${path} is damaged or no Skerry store (${message}).`, {
        remedy: "Restore the latest backup of it, or name another path.",
      });
    default:
      return new SkerryError("unavailable", `The store ${path} has failed: ${message} (SQLite ${code}).`, {
        remedy: "Check the disk and the system's log, then start Skerry again.",
      });
  }
}

function locked(path: string, owner: string): SkerryError {
  const pid = Number.parseInt(owner, 10);
  const who = Number.isNaN(pid)
    ? "another process"
    : pid === process.pid
      ? `this process (pid ${pid})`
      : `process ${pid}`;
  return new SkerryError("unavailable", `The store ${path} is open in ${who}, and only one may have it.`, {
    remedy: pid === process.pid ? "Close it first." : "Stop that process first, or name another path.",
    ...(Number.isNaN(pid) ? {} : { facts: { pid } }),
  });
}
