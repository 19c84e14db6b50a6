import { SkerryError } from "@skerry/model";

/** Whether it failed for want of disk space or of quota. */
export function isDiskFull(error: unknown): boolean {
  if (error instanceof SkerryError) return error.code === "storage-full";
  if (!(error instanceof Error)) return false;
  if ("errcode" in error && error.errcode === sqliteFull) return true;
  return "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");
}

/** SQLITE_FULL, https://www.sqlite.org/rescode.html */
const sqliteFull = 13;
