import { createReadStream, existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { SkerryError } from "@skerry/model";
import type { AuditHead, AuditPage, Client } from "@skerry/sdk";

/** How far an export has come, and how far it is to come. */
export interface ExportProgress {
  readonly records: number;
  readonly total: number;
}

export interface ExportResult {
  /** The newest record in the file. */
  readonly head: AuditHead;
  /** How many were added to it. */
  readonly records: number;
  /** What the file's first record is chained to. */
  readonly start: AuditHead;
}

const pageLimit = 500;

/**
 * Writes the audit log into a file as far as it has come by now, checking its chain. A file that is there already is checked and then goes on
 * where it ends; what of it was written by halves is written anew.
 * @param after where a new file begins
 * @throws SkerryError already-exists where a file is there and `after` is given; digest-mismatch where it or the log is not whole
 */
export async function exportAudit(
  client: Client,
  path: string,
  after: number | undefined,
  tell: (progress: ExportProgress) => void,
  signal: AbortSignal,
): Promise<ExportResult> {
  const { chainHash, exportHead, exportLine } = await import("@skerry/server");
  const known = existsSync(path) ? await proofOf(path) : undefined;
  if (known !== undefined && after !== undefined) {
    throw new SkerryError("already-exists", `There is a file ${path} already.`, {
      remedy: "Leave --after out to go on where it ends, or name another file.",
    });
  }
  let page = await client.audit({ after: known?.head.seq ?? after ?? 0, limit: pageLimit }, signal);
  const end = page.head.seq;
  if (known !== undefined) checkContinues(path, known, page);
  const start = known?.start ?? page.start;
  let head = known?.head ?? page.start;
  const first = head.seq;
  const file = await open(path, known === undefined ? "wx" : "a", 0o600);
  try {
    if (known === undefined) await file.writeFile(`${exportHead(page.zoneId, start)}\n`);
    else await file.truncate(known.bytes);
    for (;;) {
      let text = "";
      for (const item of page.items) {
        if (item.seq !== head.seq + 1 || chainHash(head.hash, item.record) !== item.hash)
          throw notWhole(`The server's record ${item.seq} does not follow on ${head.seq}`);
        text += `${exportLine(item)}\n`;
        head = { seq: item.seq, hash: item.hash };
      }
      await file.writeFile(text);
      tell({ records: head.seq - first, total: Math.max(end, head.seq) - first });
      if (page.next === undefined || head.seq >= end) break;
      page = await client.audit({ after: page.next, limit: pageLimit }, signal);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { head, records: head.seq - first, start };
}

/** Checks a file that is there; one whose last line is cut short will do. */
async function proofOf(path: string) {
  const { verifyExport } = await import("@skerry/server");
  const proof = await verifyExport(createReadStream(path));
  const { zoneId, fault } = proof;
  if (zoneId !== undefined && (fault === undefined || fault.isCut)) return { ...proof, zoneId };
  throw notWhole(`${path} can't be gone on with: line ${fault?.line ?? 1}: ${fault?.why ?? "there is none"}`);
}

function checkContinues(
  path: string,
  known: { readonly zoneId: string; readonly head: AuditHead },
  page: AuditPage,
): void {
  if (known.zoneId !== page.zoneId)
    throw notWhole(`${path} is of the zone ${known.zoneId}, and this is ${page.zoneId}`);
  const { seq, hash } = known.head;
  if (page.start.seq === seq && page.start.hash === hash) return;
  throw notWhole(
    `The server's log does not go on where ${path} ends, at ${seq}:${hash}; it has ${page.start.seq}:${page.start.hash}`,
  );
}

function notWhole(what: string): SkerryError {
  return new SkerryError("digest-mismatch", `${what}.`, {
    remedy:
      "Keep the file as it is, export into another one, and find out why: a restored backup, or somebody who changed one of the two.",
  });
}
