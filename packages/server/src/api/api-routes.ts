import { Type } from "typebox";
import { oneOf, optional, strict, Name, Timestamp } from "@skerry/model";
import { auditRoute } from "./audit-route.ts";
import { backupRoute } from "./backup-route.ts";
import type { ApiDeps } from "./deps.ts";
import { enrolmentPageRoutes } from "./enrolment-page.ts";
import { eventRoute } from "./event-stream.ts";
import { imageUploadRoute } from "./image-upload.ts";
import { metricsRoute } from "./metrics-route.ts";
import { oidcRoutes } from "./oidc-routes.ts";
import { openApiDocument } from "./openapi.ts";
import { placementRoutes } from "./placement-routes.ts";
import { planRoute } from "./plan-route.ts";
import { rebalanceRoute } from "./rebalance-route.ts";
import { resourceRoutes } from "./resource-routes.ts";
import type { GuardedRoute, OpenRoute, Route } from "./route.ts";
import { signInRoutes } from "./sign-in-routes.ts";
import { streamRoutes } from "./stream-routes.ts";
import { undoRoute } from "./undo-route.ts";
import { usageRoutes } from "./usage-route.ts";

const Scoped = { project: optional(Name), organisation: optional(Name), provider: optional(Name) };
const WhoAmI = strict({
  name: Type.String(),
  /** What it was given, and where: the whole zone where nothing is named. */
  roles: Type.Array(strict({ role: Name, ...Scoped })),
  /** At most this of it. */
  limit: optional(strict({ role: Name, ...Scoped })),
  /** Whose the token is; absent where it stands for itself. */
  owner: optional(oneOf(["User", "ServiceAccount"] as const)),
  expiresAt: optional(Timestamp),
});
const Version = strict({ version: Type.String(), api: Type.String(), zoneId: Type.String() });

/** Everything that the server answers to. */
export function apiRoutes(deps: ApiDeps): readonly Route[] {
  const routes: Route[] = [
    liveness,
    whoAmI,
    versionRoute(deps),
    ...signInRoutes(deps),
    ...oidcRoutes(deps),
    ...enrolmentPageRoutes(deps),
    ...resourceRoutes(deps),
    planRoute(deps),
    ...placementRoutes(deps),
    undoRoute(deps),
    rebalanceRoute(deps),
    ...usageRoutes(deps),
    imageUploadRoute(deps),
    ...streamRoutes(deps),
    eventRoute(deps),
    backupRoute(deps),
    auditRoute(deps),
    metricsRoute(deps),
    ...deps.agentRoutes,
  ];
  return [...routes, documentRoute(routes, deps.version)];
}

const liveness: OpenRoute = {
  method: "GET",
  path: "/livez",
  operationId: "livez",
  summary: "Answers while the process lives; says nothing else.",
  tag: "Server",
  access: "public",
  replies: { 200: { description: "Alive." } },
  handle: () => ({ status: 200, body: { status: "ok" } }),
};

const whoAmI: GuardedRoute = {
  method: "GET",
  path: "/api/v1/whoami",
  operationId: "whoAmI",
  summary: "Who the token stands for.",
  tag: "Server",
  access: "any-token",
  replies: { 200: { description: "Its name and roles.", schema: WhoAmI } },
  handle: ({ principal: { name, owner, rights, expiresAtMs } }) => ({
    status: 200,
    body: {
      name,
      ...(owner === undefined ? {} : { owner }),
      roles: rights.grants.map(({ role, scope }) => ({ role, ...scope })),
      ...(rights.limit === undefined ? {} : { limit: { role: rights.limit.role, ...rights.limit.scope } }),
      ...(expiresAtMs === undefined ? {} : { expiresAt: new Date(expiresAtMs).toISOString() }),
    },
  }),
};

function versionRoute(deps: ApiDeps): GuardedRoute {
  return {
    method: "GET",
    path: "/api/v1/version",
    operationId: "getVersion",
    summary: "The server's version, and which control plane it is.",
    tag: "Server",
    access: "any-token",
    replies: { 200: { description: "The version.", schema: Version } },
    handle: () => ({ status: 200, body: { version: deps.version, api: "v1", zoneId: deps.store.zoneId } }),
  };
}

function documentRoute(others: readonly Route[], version: string): GuardedRoute {
  let document: object | undefined;
  const route: GuardedRoute = {
    method: "GET",
    path: "/api/v1/openapi.json",
    operationId: "getOpenApi",
    summary: "This description.",
    tag: "Server",
    access: "any-token",
    replies: { 200: { description: "OpenAPI 3.1." } },
    handle: () => {
      document ??= openApiDocument([...others, route], version);
      return { status: 200, body: document };
    },
  };
  return route;
}
