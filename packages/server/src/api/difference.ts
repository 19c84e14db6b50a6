import { isDeepStrictEqual } from "node:util";
import { isPlainObject } from "./merge-patch.ts";

/** One field that differs: `before` is absent where it is new, `after` where it goes. */
export interface FieldDifference {
  /** JSON pointer (RFC 6901). */
  readonly path: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

/** Every field in which two documents differ, down to single values and whole arrays. */
export function differences(before: unknown, after: unknown, path = ""): FieldDifference[] {
  if (isDeepStrictEqual(before, after)) return [];
  // What is wholly new or gone is listed field by field too, so that a creation reads like a change.
  if ((before === undefined || isPlainObject(before)) && (after === undefined || isPlainObject(after))) {
    const keys = new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})]);
    if (keys.size > 0) {
      return [...keys].flatMap((key) =>
        differences(before?.[key], after?.[key], `${path}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`),
      );
    }
  }
  return [{ path, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) }];
}
