import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { SkerryError, parserOf, strict, type Parser } from "@skerry/model";
import type { TObject } from "typebox";
import { parseApiToken } from "../authorisation/api-token.ts";
import { authenticate, bearerToken } from "../authorisation/authentication.ts";
import { authorise } from "../authorisation/authorise.ts";
import { addressSource } from "../authorisation/failure-limit.ts";
import type { Principal } from "../authorisation/principal.ts";
import { apiRoutes } from "./api-routes.ts";
import type { ApiDeps } from "./deps.ts";
import { FairTurns } from "./fair-turns.ts";
import { sendJson } from "./large-reply.ts";
import { parseJsonBody } from "./json-body.ts";
import { keyOf } from "./resource-routes.ts";
import { pathOnly, sendProblem } from "./problem-reply.ts";
import { applyPatchType, mediaTypeOf, type Call, type Method, type Params, type Reply, type Route } from "./route.ts";
import { protocolToken } from "./upgrade.ts";

const maxBodyBytes = 1024 * 1024;
/** Bytes; with all headers there is a limit of twice that. */
const maxUrlBytes = 8 * 1024;
const maxHeaders = 100;

/** The API, and the table that it serves. */
export interface Api {
  readonly app: FastifyInstance;
  readonly routes: readonly Route[];
}

/** A request that passed every guard, and the route it is for. */
interface Admission {
  readonly route: Route;
  readonly principal: Principal | undefined;
  readonly params: Params;
}

/** Routes that the router can't tell apart: those of one kind's actions, whose paths end in `{name}:word`. */
type RouteGroup = ReadonlyMap<string, Route>;

/**
 * Serves the table of routes. Each request is authenticated and authorised by its route's declaration before its body is
 * read; a route without a declaration can't be written, and an unknown path needs a token too.
 */
export async function buildApi(deps: ApiDeps): Promise<Api> {
  const routes = apiRoutes(deps);
  const app = Fastify({
    bodyLimit: maxBodyBytes,
    logger: false,
    exposeHeadRoutes: false,
    // The whole path is bounded with the headers; what is too long for a name is told as such.
    routerOptions: { maxParamLength: 16 * 1024 },
  });
  const admissions = new WeakMap<FastifyRequest, Admission>();
  const parseQuery = queryParsers();
  const turns = new FairTurns();

  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    ["application/json", "application/merge-patch+json", applyPatchType],
    { parseAs: "string" },
    (_request, body, done) => {
      try {
        done(null, parseJsonBody(String(body)));
      } catch (error) {
        done(error as Error);
      }
    },
  );
  // Read by the page whose form it is.
  app.addContentTypeParser("application/x-www-form-urlencoded", { parseAs: "string" }, (_request, body, done) => {
    done(null, body);
  });
  app.addContentTypeParser("application/octet-stream", (_request, payload, done) => done(null, payload));

  const admitToken = (request: FastifyRequest): Principal => {
    const token = bearerToken(request.headers.authorization) ?? protocolToken(request.raw);
    try {
      return authenticate(deps.store, deps.rights, token, deps.clock.nowMs());
    } catch (error) {
      const tried = token === undefined ? undefined : parseApiToken(token)?.id;
      throw deps.failures.weigh(error, [addressSource(request.ip), tried]);
    }
  };
  app.setErrorHandler((error, _request, reply) => sendProblem(reply, error, deps.log));
  // Who has no token does not even learn which paths there are.
  app.addHook("onRequest", (request, _reply, done) => {
    checkHead(request);
    if (request.is404) deps.limits.admit(admitToken(request));
    done();
  });
  app.setNotFoundHandler((request, reply) => {
    const error = new SkerryError(
      "not-found",
      `There is nothing at ${request.method} ${pathOnly(request.url).slice(0, 200)}.`,
      {
        remedy: "The paths and methods are in /api/v1/openapi.json.",
      },
    );
    return sendProblem(reply, error, deps.log);
  });
  app.addHook("onResponse", (request, reply, done) => {
    const operation = admissions.get(request)?.route.operationId ?? "none";
    deps.metrics.answered(operation, reply.statusCode, reply.elapsedTime);
    if (request.method !== "GET" || reply.statusCode === 401)
      logRequest(deps, request, reply, admissions.get(request)?.principal);
    done();
  });

  for (const { method, url, group, takesBytes, maxBytes } of groupRoutes(routes)) {
    app.route({
      method,
      url,
      bodyLimit: takesBytes ? Number.MAX_SAFE_INTEGER : maxBytes,
      onRequest: (request, _reply, done) => {
        const open = group.get("")?.access === "public";
        const principal = open ? undefined : admitToken(request);
        if (principal === undefined) deps.limits.admitAddress(addressSource(request.ip));
        else deps.limits.admit(principal);
        const { route, params } = pick(group, request);
        if (principal !== undefined && route.access !== "public" && route.access !== "any-token") {
          const { verb, kind, place } = route.access;
          authorise(principal, verb, kind, place(params), keyOf(kind, params));
        }
        // Last of who may: nobody uses up a project's share who may not change it.
        if (principal !== undefined && method !== "GET" && params.project !== undefined)
          deps.limits.admitChange(params.project, deps.ratesOf(params.project));
        checkContentType(route, request);
        if (!takesBytes) limitBodyTime(request, deps.limits.options.bodyTimeoutMs);
        admissions.set(request, { route, principal, params });
        done();
      },
      handler: async (request, reply) => {
        const turn = turns.enter();
        if (turn !== undefined) await turn;
        const { route, principal, params } = admissions.get(request) ?? {};
        if (route === undefined || params === undefined) throw new Error(`no guard admitted ${request.method} ${url}`);
        const call = {
          params,
          query: parseQuery(route.query)(request.query) as Call["query"],
          headers: request.headers,
          body: request.body,
          cause: `${request.method} ${pathOnly(request.url)}`,
          request,
          reply,
        };
        if (route.access === "public") return send(reply, await route.handle(call));
        if (principal === undefined) throw new Error(`nobody is known at ${request.method} ${url}`);
        return send(reply, await route.handle({ ...call, principal }));
      },
    });
  }
  await app.ready();
  return { app, routes };
}

function send(reply: FastifyReply, answer: Reply | undefined): FastifyReply {
  if (answer === undefined) return reply;
  void reply.code(answer.status).headers({ "x-content-type-options": "nosniff", ...answer.headers });
  const { json, body } = answer;
  if (typeof json === "object") return sendJson(reply, json);
  if (json === undefined && body === undefined) return reply.send();
  return reply.type("application/json; charset=utf-8").send(json ?? JSON.stringify(body));
}

interface GroupedRoutes {
  readonly method: Method;
  /** The router's path: `/api/v1/sites/:name`; of actions `/api/v1/sites/:target`. */
  readonly url: string;
  /** By action; the only one by "". */
  readonly group: RouteGroup;
  /** Whether its body is a stream of bytes and not JSON. */
  readonly takesBytes: boolean;
  readonly maxBytes: number;
}

function groupRoutes(routes: readonly Route[]): readonly GroupedRoutes[] {
  const groups = new Map<string, GroupedRoutes & { readonly group: Map<string, Route> }>();
  for (const route of routes) {
    const { method, path } = route;
    const [, stem = path, action = ""] = /^(.*)\{name\}:([a-z-]+)$/.exec(path) ?? [];
    const url = (action === "" ? path : `${stem}{target}`).replaceAll(/\{([a-z]+)\}/g, ":$1");
    const takesBytes = route.body?.contentType === "application/octet-stream";
    const fresh = {
      method,
      url,
      group: new Map<string, Route>(),
      takesBytes,
      maxBytes: route.maxBodyBytes ?? maxBodyBytes,
    };
    const grouped = groups.get(`${method} ${url}`) ?? fresh;
    if (grouped.group.has(action)) throw new Error(`${method} ${path} is in the table twice`);
    grouped.group.set(action, route);
    groups.set(`${method} ${url}`, grouped);
  }
  return [...groups.values()];
}

function pick(group: RouteGroup, request: FastifyRequest): { readonly route: Route; readonly params: Params } {
  const params = request.params as Params;
  const plain = group.get("");
  if (plain !== undefined) return { route: plain, params };
  const { target = "", ...others } = params;
  const colon = target.lastIndexOf(":");
  const route = group.get(target.slice(colon + 1));
  if (colon > 0 && route !== undefined) return { route, params: { ...others, name: target.slice(0, colon) } };
  throw new SkerryError("not-found", "There is no such action.", {
    remedy: `POST …/{name}:{action}, where the action is one of: ${[...group.keys()].join(", ")}.`,
  });
}

function checkContentType(route: Route, request: FastifyRequest): void {
  const { headers } = request;
  const bodyless =
    headers["content-type"] === undefined &&
    (headers["content-length"] ?? "0") === "0" &&
    headers["transfer-encoding"] === undefined;
  if (bodyless) return;
  const sent = mediaTypeOf(headers);
  const taken = route.body?.contentType;
  if (taken === undefined) {
    // Clients that set it on every request are common; a body that says nothing here is read and dropped.
    return;
  }
  if (sent === taken) return;
  const others = Object.keys(route.body?.others ?? {});
  if (sent !== undefined && others.includes(sent)) return;
  throw new SkerryError("invalid-request", `The Content-Type is ${sent ?? "missing"}.`, {
    remedy: `Send it as ${[taken, ...others].join(" or ")}.`,
  });
}

/** @throws SkerryError too-large */
function checkHead({ raw }: FastifyRequest): void {
  if ((raw.url?.length ?? 0) > maxUrlBytes)
    throw new SkerryError("too-large", `The path with its query is longer than ${maxUrlBytes} bytes.`);
  if (raw.rawHeaders.length > 2 * maxHeaders)
    throw new SkerryError("too-large", `The request has more than ${maxHeaders} headers.`);
}

function limitBodyTime({ raw }: FastifyRequest, timeoutMs: number): void {
  if (raw.complete) return;
  const timer = setTimeout(() => {
    if (!raw.complete) raw.destroy();
  }, timeoutMs).unref();
  raw.once("close", () => clearTimeout(timer));
}

/** Routes with the same query share its parser. */
function queryParsers(): (query: TObject | undefined) => Parser<unknown> {
  const none = strict({});
  const parsers = new Map<TObject, Parser<unknown>>();
  return (query = none) => {
    const parser = parsers.get(query) ?? parserOf(query, "query");
    parsers.set(query, parser);
    return parser;
  };
}

function logRequest(
  deps: ApiDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  principal: Principal | undefined,
): void {
  deps.log.info(
    {
      method: request.method,
      path: pathOnly(request.url),
      status: reply.statusCode,
      elapsedMs: Math.round(reply.elapsedTime),
      actor: principal?.name,
      peer: request.ip,
    },
    "request",
  );
}
