import type { KindName } from "@skerry/model";
import type { StoredDocument } from "@skerry/store";
import { decide, placeOf } from "../authorisation/authorise.ts";
import type { Principal } from "../authorisation/principal.ts";
import { timestamp } from "../operations/clock.ts";

/**
 * Kinds whose stored form is what leaves the server, but for the moment at which a node last saw them: replies copy them from the
 * store's bytes. Others pass `represent`.
 */
const plainKinds: ReadonlySet<KindName> = new Set([
  "Organisation",
  "Project",
  "Site",
  "Image",
  "Volume",
  "Instance",
  "Operation",
]);

export function isPlain(kind: KindName): boolean {
  return plainKinds.has(kind);
}

/** Whether a principal may see a document: as `sees`, made from the object only where that alone tells. */
export function seesDocument(principal: Principal, kind: KindName, document: StoredDocument): boolean {
  if (principal.project === undefined) return decide(principal, "read", kind, {}) === "allowed";
  if (kind === "Operation") return decide(principal, "read", kind, placeOf(document.object())) === "allowed";
  const { project, name } = document.key;
  return decide(principal, "read", kind, { project: kind === "Project" ? name : project }) === "allowed";
}

/** A quote inside a string is escaped, and labels have no capitals: where this stands, the status has its `seenAt`. */
const seenAtField = Buffer.from('"seenAt":"');
const timestampLength = "2026-01-01T00:00:00.000Z".length;

/** Writes a document's JSON into `target`, with when its node last saw it; returns where it ends. */
export function writeDocument(
  target: Buffer,
  at: number,
  document: StoredDocument,
  seenAtMs: (nodeId: string, objectId: string) => number | undefined,
): number {
  const { json, nodeId } = document;
  target.set(json, at);
  const end = at + json.length;
  const seenMs = nodeId === undefined ? undefined : seenAtMs(nodeId, document.id);
  if (seenMs === undefined) return end;
  const field = target.subarray(at, end).indexOf(seenAtField);
  const from = at + field + seenAtField.length;
  if (field !== -1 && target[from + timestampLength] === quote) target.write(timestamp(seenMs), from);
  return end;
}

const quote = 0x22;
