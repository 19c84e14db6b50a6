import { FieldManager, isRecord, kindNames, kinds, optional, oneOf, strict, type KindName } from "@skerry/model";
import type { Key } from "@skerry/store";
import { authorise, notFound } from "../authorisation/authorise.ts";
import { placeOf, type Place } from "../authorisation/place.ts";
import { Type } from "typebox";
import { apply, readApplying } from "./apply.ts";
import type { ApiDeps } from "./deps.ts";
import { documentJson, isPlain, writeDocument } from "./document.ts";
import { IdempotentAnswers } from "./idempotency.ts";
import { ListQuery, listReply } from "./list.ts";
import { mutate, type Mutated, type Write } from "./mutations.ts";
import { RecordedRequests } from "./recorded-requests.ts";
import { represent } from "./representation.ts";
import { atRevision, reachedRevision } from "./reached-revision.ts";
import {
  applyPatchType,
  mediaTypeOf,
  schemaRef,
  type Call,
  type GuardedRoute,
  type Params,
  type Reply,
  type ReplyDescription,
} from "./route.ts";
import { act, intentsOf, patch, put, remove } from "./writes.ts";

/** Of every route that changes something. */
export const DryRun = strict({
  dryRun: optional(oneOf(["true", "false"] as const, "true: change nothing, answer with the plan")),
});
const PatchQuery = strict({
  ...DryRun.properties,
  fieldManager: optional(Type.String({ ...FieldManager, description: `of ${applyPatchType}: who wishes this` })),
  force: optional(oneOf(["true", "false"] as const, `of ${applyPatchType}: take over what other managers have`)),
});

/** Every kind's routes, made alike from the table of kinds and the table of intents. */
export function resourceRoutes(deps: ApiDeps): GuardedRoute[] {
  const requests = { answers: new IdempotentAnswers(), recorded: new RecordedRequests(deps.store, deps.stopping) };
  return kindNames.flatMap((kind) => [
    ...listRoutes(deps, kind),
    readRoute(deps, kind),
    ...(isRecord(kind) ? [] : writeRoutes(deps, requests, kind)),
    ...actionRoutes(deps, requests, kind),
  ]);
}

function listRoutes(deps: ApiDeps, kind: KindName): GuardedRoute[] {
  const { plural } = kinds[kind];
  const answer = async ({ principal, params, query }: Call): Promise<Reply> => {
    await reachedRevision(deps.store, query.revision);
    // A tenant's list costs what the tenant has, however many others there are.
    const projects = kinds[kind].scope === "project" ? principal.rights.projects : undefined;
    const within = params.project === undefined ? projects : [params.project];
    const { documents, revision } = deps.store;
    const nodeId = (name: string): string | undefined => deps.store.get("Node", { name })?.metadata.id;
    const scope = { documents, revision, principal, kind, projects: within, nodeId, sight: deps, finish: deps.freshen };
    return listReply(scope, query);
  };
  const shape = {
    method: "GET",
    tag: kind,
    query: ListQuery,
    replies: { 200: { description: "A page.", schema: schemaRef(`${kind}List`) } },
  } as const;
  const everywhere: GuardedRoute = {
    ...shape,
    path: `/api/v1/${plural}`,
    operationId: `list${plain(plural)}`,
    summary:
      kinds[kind].scope === "zone"
        ? `Lists ${plural}.`
        : `Lists the ${plural} of every project that the token may see.`,
    access: "any-token",
    handle: answer,
  };
  if (kinds[kind].scope === "zone") return [everywhere];
  const ofProject: GuardedRoute = {
    ...shape,
    path: `/api/v1/projects/{project}/${plural}`,
    operationId: `listProject${plain(plural)}`,
    summary: `Lists a project's ${plural}.`,
    access: { verb: "read", kind, place: (params) => ({ project: params.project }) },
    handle: async (call) => {
      await reachedRevision(deps.store, call.query.revision);
      const project = { name: call.params.project ?? "" };
      if (deps.store.get("Project", project) === undefined) throw notFound("Project", project);
      return answer(call);
    },
  };
  return [everywhere, ofProject];
}

function readRoute(deps: ApiDeps, kind: KindName): GuardedRoute {
  return {
    method: "GET",
    path: itemPath(kind),
    operationId: `get${kind}`,
    summary: `Reads one ${kind}.`,
    tag: kind,
    access: { verb: "read", kind, place: (params) => placeOfItem(deps, kind, keyOf(kind, params)) },
    query: strict({ revision: atRevision }),
    replies: { 200: { description: "It, with its revision as ETag.", schema: schemaRef(kind) } },
    handle: async (call) => {
      await reachedRevision(deps.store, call.query.revision);
      const key = keyOf(kind, call.params);
      const document = deps.store.documents.document(kind, key);
      if (document === undefined) throw notFound(kind, key);
      const headers = { etag: `"${document.revision}"` };
      if (!isPlain(kind)) return { status: 200, headers, body: deps.freshen(represent(document.object())) };
      const json = documentJson(document, deps);
      const copy = Buffer.allocUnsafe(json.length);
      writeDocument(copy, 0, document, json, deps);
      return { status: 200, headers, json: copy };
    },
  };
}

/** What a method asks for, of those that write. */
const verbs = { PUT: "put", PATCH: "patch", DELETE: "delete" } as const;

type Requests = Pick<Mutated, "answers" | "recorded">;

function writeRoutes(deps: ApiDeps, requests: Requests, kind: KindName): GuardedRoute[] {
  const place = (params: Params): Place | undefined => placeOfItem(deps, kind, keyOf(kind, params));
  const shape = { path: itemPath(kind), tag: kind, query: DryRun } as const;
  const handle =
    (write: (key: Key, call: Call) => Write) =>
    (call: Call): Promise<Reply> => {
      const key = keyOf(kind, call.params);
      return mutate(
        deps,
        { kind, key, verb: verbs[call.request.method as keyof typeof verbs], ...requests },
        call,
        write(key, call),
      );
    };
  return [
    {
      ...shape,
      method: "PUT",
      operationId: `put${kind}`,
      summary: `Creates a ${kind}, or replaces its spec; labels stay as they are where the request has none.`,
      access: { verb: "put", kind, place },
      requestHeaders: ["If-Match", "If-None-Match", "Idempotency-Key", "X-Skerry-Reason"],
      body: { contentType: "application/json", schema: schemaRef(`${kind}Input`) },
      replies: mutationReplies(kind, true),
      handle: handle(
        (key, { body }) =>
          (tx, write) =>
            put(tx, kind, key, body, write),
      ),
    },
    {
      ...shape,
      method: "PATCH",
      operationId: `patch${kind}`,
      summary:
        `Changes a ${kind} by a JSON merge patch (RFC 7396) of \`{metadata: {labels}, spec}\`; as \`${applyPatchType}\` ` +
        "it is all that a field manager wishes, and makes what is not there.",
      access: { verb: "patch", kind, place },
      requestHeaders: ["If-Match", "X-Skerry-Reason"],
      query: PatchQuery,
      body: {
        contentType: "application/merge-patch+json",
        schema: schemaRef("MergePatch"),
        others: { [applyPatchType]: schemaRef("Wish") },
      },
      replies: mutationReplies(kind, true),
      handle: handle((key, call) => {
        const { body, headers, query, principal, params } = call;
        const applying = readApplying(query, mediaTypeOf(headers));
        if (applying === undefined) return (tx, write) => patch(tx, kind, key, body, write);
        // Whether it makes or changes, only the transaction knows.
        authorise(principal, "put", kind, place(params), key);
        return (tx, write) => apply(tx, kind, key, body, applying, write);
      }),
    },
    {
      ...shape,
      method: "DELETE",
      operationId: `delete${kind}`,
      summary: `Deletes a ${kind}.`,
      access: { verb: "delete", kind, place },
      requestHeaders: ["If-Match", "X-Skerry-Reason"],
      replies: mutationReplies(kind, false),
      handle: handle((key) => (tx, write) => remove(tx, kind, key, write)),
    },
  ];
}

function actionRoutes(deps: ApiDeps, requests: Requests, kind: KindName): GuardedRoute[] {
  return Object.entries(intentsOf(deps.intents, kind).actions).map(([action, intent]) => ({
    method: "POST",
    path: `${itemPath(kind)}:${action}`,
    operationId: `${action.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())}${kind}`,
    summary: intent.summary,
    tag: kind,
    query: DryRun,
    access: { verb: "act", kind, place: (params) => placeOfItem(deps, kind, keyOf(kind, params)) },
    requestHeaders: ["If-Match", "Idempotency-Key", "X-Skerry-Reason"],
    body: { contentType: "application/json", schema: intent.input, optional: true },
    replies: mutationReplies(kind, false),
    handle: (call) => {
      const key = keyOf(kind, call.params);
      const write: Write = (tx, context) => act(tx, kind, key, action, call.body, context);
      return mutate(deps, { kind, key, verb: "act", ...requests }, call, write);
    },
  }));
}

function mutationReplies(kind: KindName, creates: boolean): Readonly<Record<number, ReplyDescription>> {
  const schema = schemaRef(`${kind}Mutation`);
  return {
    200: { description: "Done; with dryRun: the plan.", schema: schemaRef(`${kind}MutationOrPlan`) },
    ...(creates ? { 201: { description: "Created.", schema } } : {}),
    202: { description: "Accepted: the operation, whose path is in Location, goes on with it.", schema },
  };
}

function itemPath(kind: KindName): string {
  const parent = kinds[kind].scope === "project" ? "/api/v1/projects/{project}" : "/api/v1";
  return `${parent}/${kinds[kind].plural}/{name}`;
}

export function keyOf(kind: KindName, params: Params): Key {
  const name = params.name ?? "";
  return kinds[kind].scope === "project" ? { project: params.project, name } : { name };
}

/** Where what a key names lives; of what lives in no project the thing itself tells, if it is there. */
export function placeOfItem(deps: ApiDeps, kind: KindName, key: Key): Place | undefined {
  if (kinds[kind].scope === "project") return { project: key.project };
  const found = deps.store.get(kind, key);
  return found === undefined ? undefined : placeOf(found, deps.rights.roles);
}

/** `join-tokens` as `JoinTokens`. */
function plain(plural: string): string {
  return plural.replaceAll(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
