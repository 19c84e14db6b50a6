import type { ApiDeps } from "./deps.ts";
import type { GuardedRoute } from "./route.ts";

/** `GET /metrics`, for Prometheus with a bearer token. */
export function metricsRoute(deps: Pick<ApiDeps, "metrics">): GuardedRoute {
  return {
    method: "GET",
    path: "/metrics",
    operationId: "readMetrics",
    summary: "Numbers about this process in the text form of Prometheus.",
    tag: "Node",
    // Of the whole zone, as its nodes are.
    access: { verb: "read", kind: "Node", place: () => ({}) },
    replies: { 200: { description: "The numbers.", contentType: "text/plain" } },
    handle: async ({ reply }) => {
      const { contentType, body } = await deps.metrics.text();
      await reply.type(contentType).send(body);
      return undefined;
    },
  };
}
