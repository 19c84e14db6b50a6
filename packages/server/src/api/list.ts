import {
  FieldManager,
  SkerryError,
  isKindName,
  kinds,
  optional,
  parserOf,
  strict,
  type KindName,
  type OperationResource,
  type ResourceOf,
} from "@skerry/model";
import type { Documents, Key, Label, StoredDocument } from "@skerry/store";
import { Type, type Static } from "typebox";
import { seesAll, seesDocument } from "../authorisation/authorise.ts";
import type { Principal } from "../authorisation/principal.ts";
import { documentJson, isPlain, writeDocument, type Sight } from "./document.ts";
import { parseFields } from "./field-projection.ts";
import { replyBuffer } from "./large-reply.ts";
import { parseLabelSelector } from "./label-selector.ts";
import { atRevision } from "./reached-revision.ts";
import { represent } from "./representation.ts";
import type { Reply } from "./route.ts";

const maxListLimit = 2000;
const defaultListLimit = 100;
/** Of a list that is narrowed to what an apply has made, which no index tells: a page ends there, with what it has found. 20 ms. */
const mostLooked = 20_000;

/** The query of a list. */
export const ListQuery = strict({
  revision: atRevision,
  limit: optional(
    Type.String({
      pattern: "^[1-9][0-9]{0,3}$",
      description: `a number of items for one page, at most ${maxListLimit}; ${defaultListLimit} where absent`,
    }),
  ),
  cursor: optional(Type.String({ maxLength: 400, description: "nextCursor of the page before" })),
  labelSelector: optional(Type.String({ minLength: 1, maxLength: 1024, description: "a=b,c!=d: all must hold" })),
  node: optional(
    Type.String({ minLength: 1, maxLength: 63, description: "of instances and volumes: of this node only" }),
  ),
  target: optional(
    Type.String({
      pattern: "^[A-Za-z]+(/[^/]{1,63}){1,2}$",
      description: "of operations: of those that work on this object only, as Kind/name or Kind/project/name",
    }),
  ),
  madeBy: optional(
    Type.String({ ...FieldManager, description: "of those only that an apply by this field manager has made" }),
  ),
  fields: optional(
    Type.String({ minLength: 1, maxLength: 1024, description: "metadata.name,status.state: only these, and kind" }),
  ),
});

const Cursor = Type.Tuple([Type.String(), Type.String()]);
type Cursor = Static<typeof Cursor>;
const parseCursor = parserOf(Cursor, "cursor");

/** What is listed, and for whom. */
interface DocumentScope {
  readonly documents: Documents;
  /** What the list shows; the event stream from it misses nothing. */
  readonly revision: number;
  readonly principal: Principal;
  readonly kind: KindName;
  /** What is in these, sorted; all where absent. */
  readonly projects: readonly string[] | undefined;
  /** Of a node by its name; undefined where there is none. */
  readonly nodeId: (name: string) => string | undefined;
  readonly sight: Sight;
  /** Called for each item that is shown and was not copied. */
  readonly finish: (item: ResourceOf<KindName>) => ResourceOf<KindName>;
}

/**
 * The next page of what a principal may see of a kind, in order of (project, name), as JSON: copied from the store where the kind
 * is plain and whole items are asked for. Costs the page and a binary search; about 1 us an item that is copied. With labels it
 * looks at what has the rarest of those asked for, with a node at what is there, and never at all of a kind.
 */
export function listReply(scope: DocumentScope, query: Static<typeof ListQuery>): Reply {
  const { revision, principal, kind, sight, finish } = scope;
  const limit = Math.min(Number(query.limit ?? defaultListLimit), maxListLimit);
  const labels = query.labelSelector === undefined ? undefined : parseLabelSelector(query.labelSelector);
  // What was found by the only label that is asked for need not be read.
  const selects = labels?.isOneLabel === true && query.node === undefined ? undefined : labels?.selects;
  const show = query.fields === undefined ? undefined : parseFields(query.fields);
  const after = query.cursor === undefined ? undefined : keyOf(decodeCursor(query.cursor));
  const touches = query.target === undefined ? undefined : touching(kind, query.target);
  const isMadeBy = query.madeBy === undefined ? undefined : madeBy(query.madeBy);
  const page: StoredDocument[] = [];
  let more = false;
  let looked = 0;
  let last: StoredDocument | undefined;
  const seesEach = seesAll(principal, kind);
  for (const document of documentsOf(scope, query.node, after, labels?.required)) {
    if (!seesEach && !seesDocument(principal, kind, document)) continue;
    if (
      touches?.(document) !== false &&
      isMadeBy?.(document) !== false &&
      selects?.(document.object().metadata.labels) !== false
    ) {
      if ((more = page.length === limit)) break;
      page.push(document);
    }
    last = document;
    if (isMadeBy !== undefined && (more = ++looked === mostLooked)) break;
  }
  const key = last?.key;
  const next = more && key !== undefined ? { nextCursor: encodeCursor([key.project ?? "", key.name]) } : {};
  if (show === undefined && isPlain(kind)) return { status: 200, json: joined(page, { revision, ...next }, sight) };
  const item = show ?? ((whole: object): unknown => whole);
  const items = page.map((document) => item(finish(represent(document.object()))));
  return { status: 200, body: { items, revision, ...next } };
}

function* documentsOf(
  { documents, kind, projects, nodeId }: DocumentScope,
  node: string | undefined,
  after: Key | undefined,
  labels: readonly Label[] | undefined,
): Generator<StoredDocument, void, void> {
  // A tenant's list costs what the tenant has, however many others there are.
  const within = projects?.filter((name) => name >= (after?.project ?? "")) ?? [undefined];
  if (node === undefined) {
    for (const project of within) yield* documents.documents(kind, project, after, labels);
    return;
  }
  if (kind !== "Instance" && kind !== "Volume") {
    throw new SkerryError("invalid-request", `What is listed here is on no node.`, {
      remedy: "Leave the node out: only instances and volumes are listed by it.",
    });
  }
  const id = nodeId(node);
  if (id !== undefined) for (const project of within) yield* documents.onNode(kind, id, project, after);
}

/** Tells operations that have an object among their targets, by its name: also those of a namesake that is gone. */
function touching(listed: KindName, target: string): (document: StoredDocument) => boolean {
  const [kind = "", ...place] = target.split("/");
  if (listed !== "Operation" || !isKindName(kind) || (kinds[kind].scope === "project") !== (place.length === 2)) {
    throw new SkerryError("invalid-request", "The target is none that a list of operations can be narrowed to.", {
      remedy: "List operations with target=Kind/name, or target=Kind/project/name of what lives in a project.",
    });
  }
  const name = place.at(-1);
  const project = place.length === 2 ? place[0] : undefined;
  // Most operations do not even have the name in their text, and need not be read.
  const needle = JSON.stringify(name);
  return (document) => {
    const { buffer, byteOffset, length } = document.json;
    if (!Buffer.from(buffer, byteOffset, length).includes(needle)) return false;
    const { targets } = (document.object() as OperationResource).spec;
    return targets.some((one) => one.kind === kind && one.name === name && one.project === project);
  };
}

/** Tells what an apply by a manager has made; most do not even have its mark in their text. */
function madeBy(manager: string): (document: StoredDocument) => boolean {
  const needle = `"madeBy":${JSON.stringify(manager)}`;
  return (document) => {
    const { buffer, byteOffset, length } = document.json;
    return Buffer.from(buffer, byteOffset, length).includes(needle) && document.object().metadata.madeBy === manager;
  };
}

function joined(page: readonly StoredDocument[], rest: object, { seenAtMs, unreachable }: Sight): Buffer {
  const sight = { seenAtMs, unreachable: askedOnce(unreachable) };
  const head = '{"items":[';
  const tail = `],${JSON.stringify(rest).slice(1)}`;
  const parts = page.map((document) => ({ document, json: documentJson(document, sight) }));
  let bytes = head.length + tail.length + Math.max(0, page.length - 1);
  for (const { json } of parts) bytes += json.length;
  const target = replyBuffer(bytes);
  let at = target.write(head);
  for (const [index, { document, json }] of parts.entries()) {
    if (index > 0) target[at++] = 0x2c;
    at = writeDocument(target, at, document, json, sight);
  }
  target.write(tail, at);
  return target;
}

/** A page is of few nodes. */
function askedOnce(unreachable: Sight["unreachable"]): Sight["unreachable"] {
  const answers = new Map<string, ReturnType<typeof unreachable>>();
  return (nodeId) => {
    const known = answers.get(nodeId);
    if (known !== undefined || answers.has(nodeId)) return known;
    const answer = unreachable(nodeId);
    answers.set(nodeId, answer);
    return answer;
  };
}

function keyOf([project, name]: Cursor): Key {
  return { project, name };
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
