import { createHash } from "node:crypto";

/** Where a chain of records stands: the last one's number and hash. */
export interface AuditHead {
  /** 0 where there is no record yet. */
  readonly seq: number;
  /** SHA-256, lower-case hex. */
  readonly hash: string;
}

/** What a zone's first record is chained to. */
export function firstHead(zoneId: string): AuditHead {
  return { seq: 0, hash: createHash("sha256").update(zoneId).digest("hex") };
}

/** SHA-256 over the hash before (its 64 characters) and a record's exact bytes, which are UTF-8. About 6 us for 3 KB. */
export function chainHash(previous: string, record: string | Uint8Array): string {
  return createHash("sha256").update(previous).update(record).digest("hex");
}
