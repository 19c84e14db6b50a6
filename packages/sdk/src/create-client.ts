import {
  SkerryError,
  kinds,
  type KindName,
  type PlacementExplanation,
  type PlacementSimulation,
  type ResourceOf,
  type UsageReport,
} from "@skerry/model";
import { openByteStream, type OpenSocket } from "./byte-stream.ts";
import type {
  AuditPage,
  ByteStream,
  Client,
  Mutation,
  MutationOptions,
  Page,
  Plan,
  PlannedMutation,
  Rebalancing,
  ResourceKey,
  Undo,
  UndoOptions,
  UndoPlan,
  UndoneChange,
  WhoAmI,
} from "./client.ts";
import { watchEvents } from "./event-stream.ts";
import { waitForOperation } from "./operation-wait.ts";
import { Transport, type Call, type TransportOptions } from "./transport.ts";

export interface ClientOptions extends TransportOptions {
  readonly openSocket: OpenSocket;
}

/** A client over any platform's fetch and WebSocket; browsers use it as it is, Node through `@skerry/sdk/node`. */
export function createClient(options: ClientOptions): Client {
  const transport = new Transport({ ...options, server: options.server.replace(/\/+$/, "") });
  // What this client has changed it also reads, whichever replica it asks.
  let revision: number | undefined;
  const mutate = async <K extends KindName>(call: Call): Promise<Mutation<K>> => {
    const answer = (await transport.json(call)) as Mutation<K>;
    const { resource, operation } = answer;
    revision = Math.max(revision ?? 0, resource.metadata.revision, operation?.metadata.revision ?? 0);
    return answer;
  };
  const stream = (key: ResourceKey, what: string, signal?: AbortSignal): Promise<ByteStream> => {
    const path = `${resourcePath("Instance", key)}/${what}`;
    const url = `${transport.server.replace(/^http/, "ws")}${path}`;
    const whyRefused = (): Promise<unknown> => transport.whyRefused({ method: "GET", path, signal });
    return openByteStream({ openSocket: options.openSocket, url, token: transport.token, whyRefused }, signal);
  };

  const client: Client = {
    list: async (kind, { project, ...query } = {}, signal) =>
      (await transport.json({
        method: "GET",
        path: collectionPath(kind, project),
        query: { ...query, revision },
        signal,
      })) as Page<typeof kind>,
    listAll: async <K extends KindName>(kind: K, listOptions = {}, signal?: AbortSignal) => {
      const items: ResourceOf<K>[] = [];
      let cursor: string | undefined;
      do {
        const page: Page<K> = await client.list(kind, { limit: 1000, ...listOptions, cursor }, signal);
        items.push(...page.items);
        cursor = page.nextCursor;
      } while (cursor !== undefined);
      return items;
    },
    get: async (kind, key, signal) =>
      (await transport.json({
        method: "GET",
        path: resourcePath(kind, key),
        query: { revision },
        signal,
      })) as ResourceOf<typeof kind>,
    put: (kind, key, { spec, labels }, mutation = {}, signal) =>
      mutate({
        method: "PUT",
        path: resourcePath(kind, key),
        body: body(spec, labels),
        headers: mutationHeaders(mutation),
        signal,
      }),
    patch: (kind, key, patch, mutation = {}, signal) =>
      mutate({
        method: "PATCH",
        path: resourcePath(kind, key),
        body: patch,
        headers: { ...mutationHeaders(mutation), "content-type": "application/merge-patch+json" },
        signal,
      }),
    apply: (kind, key, { spec = {}, labels }, { fieldManager, force = false }, signal) =>
      mutate({
        method: "PATCH",
        path: resourcePath(kind, key),
        query: { fieldManager, ...(force ? { force } : {}) },
        body: body(spec, labels),
        headers: { "content-type": "application/apply-patch+json" },
        signal,
      }),
    delete: (kind, key, mutation = {}, signal) =>
      mutate({ method: "DELETE", path: resourcePath(kind, key), headers: mutationHeaders(mutation), signal }),
    action: (kind, key, action, input = {}, mutation = {}, signal) =>
      mutate({
        method: "POST",
        path: `${resourcePath(kind, key)}:${action}`,
        body: input,
        headers: mutationHeaders(mutation),
        signal,
      }),
    plan: async (kind, key, mutation, signal) => {
      return planOf(await transport.json({ ...plannedCall(kind, key, mutation), query: { dryRun: true }, signal }));
    },
    rebalance: async (wish, { dryRun = false } = {}, signal) =>
      (await transport.json({
        method: "POST",
        path: "/api/v1/placement/rebalance",
        body: wish,
        query: { dryRun },
        signal,
      })) as Rebalancing,
    planApply: async (request, signal) => {
      return planOf(await transport.json({ method: "POST", path: "/api/v1/plan", body: request, signal }));
    },
    undo: async (change, undoOptions = {}, signal) => {
      const answer = (await transport.json(undoCall(change, undoOptions, signal))) as Undo;
      revision = Math.max(revision ?? 0, answer.revision ?? 0);
      return answer;
    },
    planUndo: async (change, undoOptions = {}, signal) => {
      const answer = await transport.json({ ...undoCall(change, undoOptions, signal), query: { dryRun: true } });
      const { undoes, undone } = answer as UndoPlan;
      return { undoes, undone, ...planOf(answer) };
    },
    explainPlacement: async (key, signal) =>
      (await transport.json({
        method: "GET",
        path: `${resourcePath("Instance", key)}/placement`,
        query: { revision },
        signal,
      })) as PlacementExplanation,
    simulatePlacement: async (request, signal) =>
      (await transport.json({
        method: "POST",
        path: "/api/v1/placement/simulations",
        body: request,
        signal,
      })) as PlacementSimulation,
    usage: async (kind, name, month, signal) =>
      (await transport.json({
        method: "GET",
        path: `${resourcePath(kind, { name })}/usage`,
        query: { month, revision },
        signal,
      })) as UsageReport,
    watch: (since, signal, kindsOnly) => watchEvents(transport, since, kindsOnly, signal),
    waitForOperation: (name, onChange, signal) => waitForOperation(client, name, onChange, signal),
    uploadImage: async (key, content, sizeBytes, signal) => {
      await transport.send(
        { method: "PUT", path: `${resourcePath("Image", key)}/content`, signal },
        { content, sizeBytes },
      );
    },
    openBackup: async (signal) => {
      const { body: content } = await transport.send({ method: "GET", path: "/api/v1/backup", signal });
      if (content === null) throw new SkerryError("unavailable", "The backup has no content.");
      // One that nobody reads yet is cancelled when its response is collected as garbage: the pipe reads it from now on.
      return content.pipeThrough(new TransformStream());
    },
    audit: async (query, signal) =>
      (await transport.json({ method: "GET", path: "/api/v1/audit", query: { ...query }, signal })) as AuditPage,
    whoAmI: async (signal) => (await transport.json({ method: "GET", path: "/api/v1/whoami", signal })) as WhoAmI,
    openConsole: (key, signal) => stream(key, "console", signal),
    openConsoleLog: (key, { follow }, signal) => stream(key, `console-log?follow=${follow}`, signal),
    openPort: (key, port, signal) => stream(key, `ports/${port}`, signal),
  };
  return client;
}

function planOf(answer: unknown): Plan {
  const { plan, quota = [], cost = [], moves } = answer as Partial<Omit<Plan, "changes">> & { plan: Plan["changes"] };
  return { changes: plan, quota, cost, ...(moves === undefined ? {} : { moves }) };
}

function undoCall(change: UndoneChange, options: UndoOptions, signal: AbortSignal | undefined): Call {
  return { method: "POST", path: "/api/v1/undo", body: { ...change, ...options }, signal };
}

function body(spec: unknown, labels: Readonly<Record<string, string>> | undefined): unknown {
  return labels === undefined ? { spec } : { metadata: { labels }, spec };
}

function mutationHeaders({
  ifRevision,
  ifAbsent,
  idempotencyKey,
}: MutationOptions): Record<string, string | undefined> {
  return {
    "if-match": ifRevision === undefined ? undefined : `"${ifRevision}"`,
    "if-none-match": ifAbsent === true ? "*" : undefined,
    "idempotency-key": idempotencyKey,
  };
}

function plannedCall<K extends KindName>(kind: K, key: ResourceKey, mutation: PlannedMutation<K>): Call {
  const path = resourcePath(kind, key);
  switch (mutation.verb) {
    case "put":
      return { method: "PUT", path, body: body(mutation.draft.spec, mutation.draft.labels) };
    case "patch":
      return {
        method: "PATCH",
        path,
        body: mutation.patch,
        headers: { "content-type": "application/merge-patch+json" },
      };
    case "delete":
      return { method: "DELETE", path };
    case "action":
      return { method: "POST", path: `${path}:${mutation.action}`, body: mutation.input ?? {} };
  }
}

/** `/api/v1/sites`, `/api/v1/projects/p/instances`; a project kind without a project is listed over all of them. */
function collectionPath(kind: KindName, project: string | undefined): string {
  const { plural, scope } = kinds[kind];
  return scope === "project" && project !== undefined
    ? `/api/v1/projects/${encodeURIComponent(project)}/${plural}`
    : `/api/v1/${plural}`;
}

function resourcePath(kind: KindName, { project, name }: ResourceKey): string {
  return `${collectionPath(kind, project)}/${encodeURIComponent(name)}`;
}
