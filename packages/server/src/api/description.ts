import { makeIntents } from "../controllers/intents.ts";
import { agentRoutes } from "../gateway/agent-routes.ts";
import { apiRoutes } from "./api-routes.ts";
import { openApiDocument } from "./openapi.ts";
import type { Route } from "./route.ts";

/** The API as a table and as an OpenAPI document, without a server behind it. */
export interface ApiDescription {
  readonly routes: readonly Pick<
    Route,
    "method" | "path" | "operationId" | "summary" | "tag" | "access" | "query" | "requestHeaders"
  >[];
  readonly document: object;
}

/** For reference pages; what is described here can't be called. */
export function describeApi(version: string): ApiDescription {
  const intents = makeIntents({
    engine: absent(),
    allocation: absent(),
    addresses: absent(),
    fleet: absent(),
    usage: absent(),
    spend: absent(),
    residents: absent(),
    random: absent(),
    rights: absent(),
    people: absent(),
    authorityFingerprint: "",
  });
  const agents = agentRoutes({
    links: absent(),
    streams: absent(),
    images: absent(),
    delegate: absent(),
    failures: absent(),
    store: absent(),
    intents,
    authority: absent(),
    clock: absent(),
    makeId: absent(),
  });
  const routes = apiRoutes({
    store: absent(),
    intents,
    gateway: absent(),
    freshen: absent(),
    seenAtMs: absent(),
    unreachable: absent(),
    usage: absent(),
    spend: absent(),
    rebalancing: absent(),
    fleet: absent(),
    agentRoutes: agents,
    tokens: absent(),
    rights: absent(),
    people: absent(),
    failures: absent(),
    attempts: absent(),
    hasher: absent(),
    firstStart: absent(),
    limits: absent(),
    metrics: absent(),
    ratesOf: absent(),
    sealer: absent(),
    images: absent(),
    clock: absent(),
    log: absent(),
    makeId: absent(),
    version,
    stopping: absent(),
  });
  return { routes, document: openApiDocument(routes, version) };
}

/** Something that a description never uses; whoever does finds out at once. */
function absent(): never {
  const refuse = (): never => {
    throw new Error("an API that is only described was called");
  };
  return new Proxy(refuse, { get: refuse }) as never;
}
