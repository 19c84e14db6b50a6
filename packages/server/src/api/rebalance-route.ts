import { Type } from "typebox";
import { RebalanceProposals, oneOf, optional, parserOf, rebalanceObjectives, strict } from "@skerry/model";
import type { RebalanceWish } from "../controllers/rebalancing.ts";
import { noteOf } from "./audit-note.ts";
import type { ApiDeps } from "./deps.ts";
import { commitAs } from "./mutations.ts";
import { DryRun } from "./resource-routes.ts";
import { schemaRef, type Call, type GuardedRoute, type Reply } from "./route.ts";

const RebalanceRequest = strict({
  objective: oneOf(rebalanceObjectives),
  maxMoves: optional(Type.Integer({ minimum: 1, maximum: 200, description: "20 where absent" })),
  maxParallel: optional(Type.Integer({ minimum: 1, maximum: 64, description: "moves at once; 2 where absent" })),
  ignoreBudgets: optional(Type.Boolean({ description: "move also what disruption budgets would keep up" })),
});
/** A look at a thousand instances, in which everybody else waits: it counts as so many requests. */
const rebalanceCost = 1000;
const parseRequest = parserOf(RebalanceRequest, "rebalancing");

const Rebalancing = strict({
  proposals: RebalanceProposals,
  operation: optional(Type.Unsafe<unknown>(schemaRef("Operation"))),
});

/** `POST /api/v1/placement/rebalance`: moves that gain something; with `?dryRun=true` only what they are. */
export function rebalanceRoute(deps: ApiDeps): GuardedRoute {
  return {
    method: "POST",
    path: "/api/v1/placement/rebalance",
    operationId: "rebalancePlacement",
    summary:
      "Finds moves of instances that gain something, and begins them, a few at a time and within disruption budgets. Needs the right to " +
      "act on every node.",
    tag: "Server",
    access: { verb: "act", kind: "Node", place: () => ({}) },
    query: DryRun,
    requestHeaders: ["X-Skerry-Reason"],
    body: { contentType: "application/json", schema: RebalanceRequest },
    replies: {
      200: { description: "With dryRun, or where nothing is to be gained: the proposals.", schema: Rebalancing },
      202: { description: "Accepted: the operation goes on with them.", schema: Rebalancing },
    },
    handle: (call) => rebalance(deps, call),
  };
}

async function rebalance(deps: ApiDeps, call: Call): Promise<Reply> {
  const { objective, maxMoves = 20, maxParallel = 2, ignoreBudgets = false } = parseRequest(call.body);

  deps.limits.admit(call.principal, rebalanceCost - 1);
  const wish: RebalanceWish = { objective, maxMoves, maxParallel, ignoreBudgets };
  if (call.query.dryRun === "true") {
    const { result } = deps.store.rehearse((tx) => deps.rebalancing.propose(tx, wish));
    return { status: 200, body: { proposals: seenBy(call, result) } };
  }
  const context = { actor: call.principal.name, cause: call.cause };
  const { result } = await commitAs(deps, call, noteOf(call), (tx) => deps.rebalancing.begin(tx, wish, context));
  const { operation } = result;
  return {
    status: operation === undefined ? 200 : 202,
    ...(operation === undefined ? {} : { headers: { location: `/api/v1/operations/${operation.metadata.name}` } }),
    body: { ...result, proposals: seenBy(call, result.proposals) },
  };
}

/** Whoever may move everything need not be told whose it is. */
function seenBy({ principal }: Call, proposals: RebalanceProposals): RebalanceProposals {
  const moves = proposals.moves.filter(({ project }) => principal.rights.allow("read", "Instance", { project }));
  return { ...proposals, moves, hidden: proposals.moves.length - moves.length };
}
