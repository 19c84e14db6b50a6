import { SkerryError } from "@skerry/model";

/** Whether it failed for want of disk space or of quota. */
export function isDiskFull(error: unknown): boolean {
  if (error instanceof SkerryError) return error.code === "storage-full";
  return error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");
}
