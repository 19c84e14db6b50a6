import { createHash } from "node:crypto";
import { chainHash, type AuditHead } from "./chain.ts";
import type { AuditRecord } from "./note.ts";

/*
 * An export is lines. The first says which zone's log it is, what its first record is chained to, and, since nothing else would
 * vouch for it, its own SHA-256. Each other line holds a record, byte by byte as it was hashed, and its hash.
 */

const opening = Buffer.from('{"hash":"');
const middle = Buffer.from('","record":');
const hashLength = 64;
const recordStart = opening.length + hashLength + middle.length;
/** No record comes near this: requests are smaller. */
const maxLineBytes = 64 * 1024 * 1024;

/** The first line, without its end. */
export function exportHead(zoneId: string, { seq, hash }: AuditHead): string {
  const text = `{"skerryAudit":1,"zoneId":${JSON.stringify(zoneId)},"after":${seq},"hash":"${hash}"`;
  return `${text},"sum":"${sumOf(text)}"}`;
}

/** A record's line, without its end. */
export function exportLine({ hash, record }: AuditRecord): string {
  return `{"hash":"${hash}","record":${record}}`;
}

/** What is wrong, and in which line, from 1. */
export interface ExportFault {
  readonly line: number;
  readonly why: string;
  /** Only the end of the last line is missing, as where its writing was interrupted. */
  readonly isCut: boolean;
}

/** What an export proves. */
export interface ExportProof {
  /** Undefined where there is no first line. */
  readonly zoneId: string | undefined;
  /** What its first record is chained to. */
  readonly start: AuditHead;
  /** The last record before any fault. A log whose tail was cut off can be told from it alone, by one who knows a later head. */
  readonly head: AuditHead;
  readonly records: number;
  /** The hash of the record that was asked for; absent where that is not in the export, nor right before it. */
  readonly marked?: string;
  /** Length of all whole lines before any fault. */
  readonly bytes: number;
  readonly fault?: ExportFault;
}

/**
 * Reads an export up to its first fault: order, gaps, every hash. Holds a line in memory.
 * @param mark the number of a record whose hash is wanted
 */
export async function verifyExport(content: AsyncIterable<Uint8Array>, mark?: number): Promise<ExportProof> {
  let zoneId: string | undefined;
  let start: AuditHead = { seq: 0, hash: "" };
  let head = start;
  let marked: string | undefined;
  let lines = 0;
  let bytes = 0;

  const proof = (why?: string, isCut = false): ExportProof => {
    const counts = { records: head.seq - start.seq, bytes };
    const so = { zoneId, start, head, ...counts, ...(marked === undefined ? {} : { marked }) };
    return why === undefined ? so : { ...so, fault: { line: lines + 1, why, isCut } };
  };
  /** Why a line is not what has to come next. */
  const take = (line: Buffer): string | undefined => {
    if (zoneId === undefined) {
      const read = readHead(line.toString("utf8"));
      if (typeof read === "string") return read;
      ({ zoneId, start } = read);
      head = start;
      return undefined;
    }
    const next = readLine(line);
    if (next === undefined) return "it is not a record and its hash";
    if (chainHash(head.hash, next.record) !== next.hash) return unchained(next.seq, head.seq + 1);
    if (next.seq !== head.seq + 1) return `its record's number is ${next.seq}, and has to be ${head.seq + 1}`;
    head = { seq: next.seq, hash: next.hash };
    return undefined;
  };

  for await (const line of linesOf(content)) {
    if (!line.isWhole) return proof("it is cut short", true);
    const why = take(line.bytes);
    if (why !== undefined) return proof(why);
    if (head.seq === mark) marked ??= head.hash;
    lines += 1;
    bytes += line.bytes.length + 1;
  }
  return zoneId === undefined ? proof("there is none", true) : proof();
}

function unchained(seq: number, expected: number): string {
  if (seq > expected) {
    const missing = seq === expected + 1 ? `record ${expected} is` : `records ${expected} to ${seq - 1} are`;
    return `${missing} missing before record ${seq}`;
  }
  if (seq < expected) return `record ${seq} is repeated or out of order, and ${expected} has to come`;
  return `record ${seq} does not follow on the line before: one of the two was changed`;
}

function readHead(text: string): { readonly zoneId: string; readonly start: AuditHead } | string {
  const [, said = "", sum] = /^(.*),"sum":"([0-9a-f]{64})"\}$/.exec(text) ?? [];
  if (sum === undefined || !said.startsWith('{"skerryAudit":')) return "it is not the first line of an export";
  if (sumOf(said) !== sum) return "it is not what its own checksum says";
  const found = /^\{"skerryAudit":1,"zoneId":("(?:[^"\\]|\\.)*"),"after":([0-9]{1,15}),"hash":"([0-9a-f]{64})"$/.exec(
    said,
  );
  if (found === null) return "it is of a newer version's export";
  const [, zoneId = "", after = "", hash = ""] = found;
  const start = { seq: Number(after), hash };
  const zone = JSON.parse(zoneId) as string;
  if (start.seq === 0 && hash !== sumOf(zone)) return "its log does not begin with its zone's id";
  return { zoneId: zone, start };
}

function readLine(line: Buffer): { readonly seq: number; readonly hash: string; readonly record: Buffer } | undefined {
  const isFramed =
    line.length > recordStart + 1 &&
    line.subarray(0, opening.length).equals(opening) &&
    line.subarray(recordStart - middle.length, recordStart).equals(middle) &&
    line.at(-1) === 0x7d;
  if (!isFramed) return undefined;
  const hash = line.toString("latin1", opening.length, opening.length + hashLength);
  const record = line.subarray(recordStart, -1);
  const seq = /^\{"seq":([0-9]{1,15}),/.exec(record.toString("latin1", 0, 32))?.[1];
  return seq === undefined ? undefined : { seq: Number(seq), hash, record };
}

interface Line {
  readonly bytes: Buffer;
  /** Whether its end was there. */
  readonly isWhole: boolean;
}

async function* linesOf(content: AsyncIterable<Uint8Array>): AsyncGenerator<Line, void> {
  let parts: Buffer[] = [];
  let held = 0;
  for await (const chunk of content) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let from = 0;
    for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a, from)) {
      parts.push(bytes.subarray(from, end));
      yield { bytes: parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts), isWhole: true };
      parts = [];
      held = 0;
      from = end + 1;
    }
    if (from === bytes.length) continue;
    parts.push(bytes.subarray(from));
    held += bytes.length - from;
    if (held > maxLineBytes) break;
  }
  if (parts.length > 0) yield { bytes: Buffer.concat(parts), isWhole: false };
}

function sumOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
