import { Type } from "typebox";
import {
  Name,
  SkerryError,
  Timestamp,
  kindNames,
  namePattern,
  oneOf,
  optional,
  strict,
  type KindName,
} from "@skerry/model";
import type { ApiDeps } from "./deps.ts";
import type { Call, GuardedRoute, Reply } from "./route.ts";

const maxLimit = 500;
const defaultLimit = 100;

const described = (pattern: string, description: string) => optional(Type.String({ pattern, description }));

const anyName = namePattern.slice(1, -1);

const Query = strict({
  after: described(
    "^(0|[1-9][0-9]{0,14})$",
    "records from behind the one of this number on, oldest first; where absent the newest ones, among the last 2000",
  ),
  limit: described("^[1-9][0-9]{0,2}$", `records of one page, at most ${maxLimit}; ${defaultLimit} where absent`),
  actor: described(
    `^(${anyName}/)?${anyName}$`,
    "only what a token, a user or a service account (PROJECT/NAME) of this name asked for",
  ),
  kind: optional(
    oneOf(kindNames as unknown as readonly [KindName, ...KindName[]], "only what changed an object of this kind"),
  ),
  project: optional(Name),
  since: optional(Timestamp),
  operation: optional(Name),
});

const Head = strict({ seq: Type.Integer({ minimum: 0 }), hash: Type.String() });
const Page = strict({
  /** Of each record its exact text, which is JSON, and its hash: SHA-256 over the hash before, as 64 characters, and these bytes. */
  items: Type.Array(strict({ ...Head.properties, record: Type.String() })),
  /** What the record behind `after` is chained to; further on than asked for where the log begins there, after a restoration. */
  start: Head,
  /** To go on after; a page may be empty and have it. */
  next: optional(Type.Integer({ minimum: 1 })),
  head: Head,
  zoneId: Type.String(),
});

/** `GET /api/v1/audit`: who changed what, from where and why. Read by the database's thread, a bounded part at a time. */
export function auditRoute(deps: ApiDeps): GuardedRoute {
  return {
    method: "GET",
    path: "/api/v1/audit",
    operationId: "listAudit",
    summary: "Who changed what, from where and why: records of which each is chained to the one before it.",
    tag: "Server",
    access: { verb: "audit", kind: "Organisation", place: () => ({}) },
    query: Query,
    replies: { 200: { description: "A page, oldest record first.", schema: Page } },
    handle: (call) => read(deps, call),
  };
}

async function read({ store }: ApiDeps, { query }: Call): Promise<Reply> {
  const { actor, project, operation, since } = query;
  const after = query.after === undefined ? undefined : Number(query.after);
  const limit = Math.min(maxLimit, Number(query.limit ?? defaultLimit));
  const kind = query.kind as KindName | undefined;
  const sinceMs = since === undefined ? undefined : Date.parse(since);
  const page = await store.audit.read({ after, limit, actor, kind, project, sinceMs, operation });
  const { records: items, start, next, head } = page;
  if (after !== undefined && after > head.seq) {
    throw new SkerryError("invalid-request", `The audit log ends at record ${head.seq}, before ${after}.`, {
      remedy: "If there were more records once, this zone was restored from a backup that is older than they are.",
      facts: { seq: head.seq, hash: head.hash },
    });
  }
  const body = { items, start, ...(next === undefined ? {} : { next }), head, zoneId: store.zoneId };
  return { status: 200, headers: { "cache-control": "no-store" }, body };
}
