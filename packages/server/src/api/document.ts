import type { Condition, KindName } from "@skerry/model";
import type { StoredDocument } from "@skerry/store";
import { timestamp } from "../operations/clock.ts";

/**
 * Kinds whose stored form is what leaves the server, but for the moment at which a node last saw them: replies copy them from the
 * store's bytes. Others pass `represent`.
 */
const plainKinds: ReadonlySet<KindName> = new Set(["Site", "Image", "Volume", "Instance", "Operation", "Meter"]);

export function isPlain(kind: KindName): boolean {
  return plainKinds.has(kind);
}

/** What a node said last, and whether it is heard now. */
export interface Sight {
  readonly seenAtMs: (nodeId: string, objectId: string) => number | undefined;
  readonly unreachable: (nodeId: string) => Condition | undefined;
}

/* A quote inside a string is escaped, and labels have texts only: where one of these stands, it is the status that has it. */
const seenAtField = Buffer.from('"seenAt":"');
const conditionsField = Buffer.from('"conditions":[');
const timestampLength = "2026-01-01T00:00:00.000Z".length;
const [quote, closing] = [0x22, 0x5d];

/** A document's JSON as it leaves the server, to be copied: the store's own bytes unless its node is not heard. */
export function documentJson({ json, nodeId }: StoredDocument, { unreachable }: Sight): Uint8Array {
  const condition = nodeId === undefined ? undefined : unreachable(nodeId);
  if (condition === undefined) return json;
  const bytes = Buffer.from(json.buffer, json.byteOffset, json.byteLength);
  const field = bytes.indexOf(conditionsField);
  if (field === -1) return json;
  const from = field + conditionsField.length;
  const inserted = JSON.stringify(condition) + (bytes[from] === closing ? "" : ",");
  return Buffer.concat([bytes.subarray(0, from), Buffer.from(inserted), bytes.subarray(from)]);
}

/** Copies what `documentJson` gave into `target`, with when its node last saw it; returns where it ends. */
export function writeDocument(
  target: Buffer,
  at: number,
  { id, nodeId }: StoredDocument,
  json: Uint8Array,
  { seenAtMs }: Sight,
): number {
  target.set(json, at);
  const end = at + json.length;
  const seenMs = nodeId === undefined ? undefined : seenAtMs(nodeId, id);
  if (seenMs === undefined) return end;
  const field = target.subarray(at, end).indexOf(seenAtField);
  const from = at + field + seenAtField.length;
  if (field !== -1 && target[from + timestampLength] === quote) target.write(timestamp(seenMs), from);
  return end;
}
