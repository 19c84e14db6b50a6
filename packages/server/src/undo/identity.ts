import { keptFormerIds, type Formerly, type KindName, type Metadata, type ResourceOf } from "@skerry/model";
import type { View } from "@skerry/store";
import type { RecordedChange } from "./recorded-mutation.ts";

/* A thing that an undo made again has another id, and is what it was: so that what was done to it before can be undone too. */

/** What a recorded change was of, as it is now; undefined where it is gone, whatever has its name. */
export function currentOf(view: View, { kind, id, key }: RecordedChange): ResourceOf<KindName> | undefined {
  const there = view.getById(kind, id);
  if (there !== undefined) return there;
  const namesake = view.get(kind, key);
  return namesake !== undefined && isOrWas(namesake.metadata, id) ? namesake : undefined;
}

/** Whether it has this id, or had it before it was made again. */
export function isOrWas({ id, formerly }: Metadata, former: string): boolean {
  return id === former || formerly?.ids.includes(former) === true;
}

/** Since when it has been there, milliseconds since 1970, whatever its ids. */
export function sinceMs({ createdAt, formerly }: Metadata): number {
  return Date.parse(formerly?.since ?? createdAt);
}

/** What something that is made again is told of itself. */
export function formerlyOf({ id, createdAt, formerly }: Metadata): Formerly {
  return { ids: [...(formerly?.ids ?? []), id].slice(-keptFormerIds), since: formerly?.since ?? createdAt };
}
