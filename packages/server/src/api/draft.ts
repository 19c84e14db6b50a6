import { timestamp, type KindName, type ResourceOf } from "@skerry/model";
import type { Key } from "@skerry/store";

/** What of a new object depends on who makes it. */
export interface DraftParts {
  readonly spec: object;
  readonly labels: Readonly<Record<string, string>>;
  /** The kind's initial status, from its intents. */
  readonly status: object;
}

/** A new object with complete metadata, as intents take it; not stored yet. */
export function makeDraft<K extends KindName>(
  kind: K,
  id: string,
  key: Key,
  parts: DraftParts,
  nowMs: number,
): ResourceOf<K> {
  const now = timestamp(nowMs);
  const place = key.project === undefined ? {} : { project: key.project };
  const metadata = {
    name: key.name,
    ...place,
    id,
    revision: 0,
    generation: 1,
    labels: parts.labels,
    createdAt: now,
    updatedAt: now,
  };
  return { kind, metadata, spec: parts.spec, status: parts.status } as unknown as ResourceOf<K>;
}
