import { SkerryError, optional, parserOf, strict, type KindName, type ResourceOf } from "@skerry/model";
import type { View } from "@skerry/store";
import { Type, type Static } from "typebox";
import { sees } from "../authorisation/authorise.ts";
import type { Principal } from "../authorisation/principal.ts";
import { parseFields } from "./field-projection.ts";
import { parseLabelSelector } from "./label-selector.ts";
import { atRevision } from "./reached-revision.ts";
import { represent } from "./representation.ts";

const maxListLimit = 2000;
const defaultListLimit = 100;

/** The query of a list. */
export const ListQuery = strict({
  revision: atRevision,
  limit: optional(
    Type.String({
      pattern: "^[1-9][0-9]{0,3}$",
      description: `items of a page, at most ${maxListLimit}; ${defaultListLimit} where absent`,
    }),
  ),
  cursor: optional(Type.String({ maxLength: 400, description: "nextCursor of the page before" })),
  labelSelector: optional(Type.String({ minLength: 1, maxLength: 1024, description: "a=b,c!=d: all must hold" })),
  fields: optional(
    Type.String({ minLength: 1, maxLength: 1024, description: "metadata.name,status.state: only these, and kind" }),
  ),
});

/** A page of a list. */
export interface ListPage {
  readonly items: readonly unknown[];
  /** What the list shows; the event stream from it misses nothing. */
  readonly revision: number;
  readonly nextCursor?: string;
}

const Cursor = Type.Tuple([Type.String(), Type.String()]);
type Cursor = Static<typeof Cursor>;
const parseCursor = parserOf(Cursor, "cursor");

/** What is listed, and for whom. */
export interface ListScope {
  readonly view: View;
  readonly principal: Principal;
  readonly kind: KindName;
  /** One project's, or all. */
  readonly project: string | undefined;
  /** Called for each item that is shown. */
  readonly finish: (item: ResourceOf<KindName>) => ResourceOf<KindName>;
}

/** The next page of what a principal may see of a kind, in order of (project, name). Costs the page and a binary search. */
export function listPage(
  { view, principal, kind, project, finish }: ListScope,
  query: Static<typeof ListQuery>,
): ListPage {
  const limit = Math.min(Number(query.limit ?? defaultListLimit), maxListLimit);
  const selects = query.labelSelector === undefined ? () => true : parseLabelSelector(query.labelSelector);
  const show = query.fields === undefined ? (item: object): unknown => item : parseFields(query.fields);
  const all = view.list(kind, project);
  const items: unknown[] = [];
  let index = query.cursor === undefined ? 0 : firstAfter(all, decodeCursor(query.cursor));
  let last: ResourceOf<KindName> | undefined;
  for (; index < all.length && items.length < limit; index++) {
    const item = all[index];
    if (item === undefined || !sees(principal, item) || !selects(item.metadata.labels)) continue;
    items.push(show(finish(represent(item))));
    last = item;
  }
  const next = last !== undefined && index < all.length ? { nextCursor: encodeCursor(placeOf(last)) } : {};
  return { items, revision: view.revision, ...next };
}

function placeOf({ metadata }: ResourceOf<KindName>): Cursor {
  return [metadata.project ?? "", metadata.name];
}

/** Index of the first item behind a place, which need not exist any more. */
function firstAfter(items: readonly ResourceOf<KindName>[], [project, name]: Cursor): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const item = items[middle];
    if (item === undefined) break;
    const place = placeOf(item);
    if (place[0] < project || (place[0] === project && place[1] <= name)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function encodeCursor(cursor: Cursor): string {
  return Buffer.from(JSON.stringify(cursor)).toString("base64url");
}

function decodeCursor(text: string): Cursor {
  try {
    return parseCursor(JSON.parse(Buffer.from(text, "base64url").toString("utf8")));
  } catch (error) {
    throw new SkerryError("invalid-request", "The cursor is not one that a list gave.", {
      remedy: "List from the beginning.",
      cause: error,
    });
  }
}
