import type { IncomingHttpHeaders } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { KindName } from "@skerry/model";
import type { TObject, TSchema } from "typebox";
import type { Place } from "../authorisation/place.ts";
import type { Principal } from "../authorisation/principal.ts";
import type { Verb } from "../authorisation/verbs.ts";

/*
 * What the API consists of. The server, the OpenAPI document and the tests that try every route with every kind of
 * token are all made from one table of these.
 */

export type Method = "GET" | "PUT" | "PATCH" | "DELETE" | "POST";
export type Params = Readonly<Record<string, string>>;

/** A request that was let in. */
export interface Call {
  readonly principal: Principal;
  readonly params: Params;
  /** Checked against the route's `query`. */
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingHttpHeaders;
  /** Parsed JSON, not yet checked; the raw stream where the route takes bytes; undefined where there was none. */
  readonly body: unknown;
  /** Method and path, for the records of what the request causes. */
  readonly cause: string;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** What a route answers; JSON where there is a body. */
export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** The body, where it is JSON already. */
  readonly json?: Uint8Array | string;
}

/** JSON schema, or a reference into the document's components. */
export type DocumentedSchema = TSchema | { readonly $ref: string };

export interface ReplyDescription {
  readonly description: string;
  readonly contentType?: string;
  readonly schema?: DocumentedSchema;
}

interface RouteBase {
  readonly method: Method;
  /** With `{project}`, `{name}` and the like; an action's ends in `{name}:word`. */
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly tag: string;
  /** String parameters with their descriptions; others are refused. */
  readonly query?: TObject;
  /** Headers of the request that mean something here. */
  readonly requestHeaders?: readonly RequestHeader[];
  readonly body?: {
    readonly contentType:
      | "application/json"
      | "application/merge-patch+json"
      | "application/octet-stream"
      | "application/x-www-form-urlencoded";
    readonly schema: DocumentedSchema;
    /** What else it takes, by content type; which one came, `mediaTypeOf` tells. */
    readonly others?: Readonly<Record<string, DocumentedSchema>>;
    readonly optional?: boolean;
  };
  /** Where it takes less than others. */
  readonly maxBodyBytes?: number;
  readonly replies: Readonly<Record<number, ReplyDescription>>;
}

export const requestHeaders = {
  "If-Match": "Refuse with revision-mismatch unless the object is at this revision; as given by ETag.",
  "If-None-Match": "With `*`: refuse with already-exists where the object exists.",
  "Idempotency-Key":
    "The same request with the same key is done once within an hour. Its answer is kept for 10,000 later ones (32 MB of answers), and no longer " +
    "than this server leads. After that the key is known by its mark: on the operation that it submitted, as long as that is kept (10,000 that " +
    "are over); where it submitted none on the object that it changed, which keeps 8 marks and takes them along when it is deleted.",
  "X-Skerry-Reason": "Why, for the audit log: one line of at most 500 characters, in UTF-8.",
  "Last-Event-ID": "As `since`, for clients that reconnect.",
} as const;
export type RequestHeader = keyof typeof requestHeaders;

/** A route whose caller is known by a token. */
export interface GuardedRoute extends RouteBase {
  /**
   * What a caller must be allowed to do, and where; no place for what is not there and tells its place itself. `any-token`: whoever has a token may ask, and the handler shows
   * each caller what it may see.
   */
  readonly access:
    | { readonly verb: Verb; readonly kind: KindName; readonly place: (params: Params) => Place | undefined }
    | "any-token";
  /** Undefined where it has taken over the connection. */
  readonly handle: (call: Call) => Promise<Reply | undefined> | Reply;
}

/** A route that anyone may reach: liveness, and agents, which prove who they are by themselves. */
export interface OpenRoute extends RouteBase {
  readonly access: "public";
  readonly handle: (call: Omit<Call, "principal">) => Promise<Reply | undefined> | Reply;
}

export type Route = GuardedRoute | OpenRoute;

/** `application/json` of `application/json; charset=utf-8`. */
export function mediaTypeOf(headers: IncomingHttpHeaders): string | undefined {
  return headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase();
}

/** The content type of server-side apply: JSON, the whole wish of one field manager. */
export const applyPatchType = "application/apply-patch+json";

/** A reference to a schema of the document. */
export function schemaRef(name: string): { readonly $ref: string } {
  return { $ref: `#/components/schemas/${name}` };
}
