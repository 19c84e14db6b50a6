import { Type } from "typebox";
import {
  MetadataInput,
  Name,
  SkerryError,
  kindNames,
  kinds,
  oneOf,
  parserOf,
  planLimits,
  strict,
  type KindName,
} from "@skerry/model";
import type { Key, Transaction } from "@skerry/store";
import { authorise, type Place } from "../authorisation/authorise.ts";
import type { ApiDeps } from "./deps.ts";
import { contextOf } from "./mutations.ts";
import { TouchedObjects } from "./plan.ts";
import { quotaEffects } from "./quota-effect.ts";
import { schemaRef, type Call, type GuardedRoute, type Reply } from "./route.ts";
import { put } from "./writes.ts";

type WritableKind = Exclude<KindName, "Operation">;
const writableKinds = kindNames.filter((kind): kind is WritableKind => kind !== "Operation");

/** The specs are checked one by one, by their kinds. */
const PlanRequest = strict({
  resources: Type.Array(
    Type.Object({
      kind: oneOf(writableKinds as unknown as readonly [WritableKind, ...WritableKind[]]),
      metadata: strict({ ...MetadataInput.properties, name: Name }),
      spec: Type.Object({}),
    }),
    { minItems: 1, maxItems: planLimits.resources },
  ),
});
/** Nothing else happens on this server meanwhile. */
const maxMs = 1000;
const parseRequest = parserOf(PlanRequest, "request");

/** `POST /api/v1/plan`: what a PUT of each, one after the other, would change in all; each sees what those before it made. */
export function planRoute(deps: ApiDeps): GuardedRoute {
  return {
    method: "POST",
    path: "/api/v1/plan",
    operationId: "planResources",
    summary: "What PUT of all of these, one after the other, would change; each sees those before it. Changes nothing.",
    tag: "Server",
    access: "any-token",
    body: { contentType: "application/json", schema: PlanRequest },
    maxBodyBytes: planLimits.bytes,
    replies: { 200: { description: "The plan.", schema: schemaRef("Plan") } },
    handle: (call) => plan(deps, call),
  };
}

function plan(deps: ApiDeps, call: Call): Reply {
  const { resources } = parseRequest(call.body);
  for (const { kind, metadata } of resources) authorise(call.principal, "put", kind, placeOf(kind, metadata));
  const write = { ...contextOf(deps, call), checkPreconditions: () => undefined };
  const startedMs = deps.clock.monotonicMs();
  const { result } = deps.store.rehearse((tx: Transaction) => {
    const touched = new TouchedObjects(tx);
    const seen = touched.transaction();
    for (const [index, resource] of resources.entries()) {
      const { kind, metadata } = resource;
      if (deps.clock.monotonicMs() - startedMs > maxMs) throw tooLong(index, resources.length);
      try {
        put(seen, kind, keyOf(kind, metadata), resource, write);
      } catch (error) {
        throw error instanceof SkerryError ? named(error, kind, metadata.name) : error;
      }
    }
    return { plan: touched.plan(call.principal), quota: quotaEffects(deps.usage, tx, call.principal) };
  });
  return { status: 200, body: result };
}

function tooLong(tried: number, asked: number): SkerryError {
  return new SkerryError(
    "too-large",
    `A plan may take ${maxMs} ms, in which ${tried} of ${asked} resources were tried.`,
    {
      remedy: `Plan at most ${Math.max(1, Math.floor(tried / 2))} at once; what others stand on must be there before them.`,
      facts: { tried, asked },
    },
  );
}

function placeOf(kind: KindName, { name, project }: { readonly name: string; readonly project?: string }): Place {
  if (kind === "Project") return { project: name };
  return kinds[kind].scope === "project" ? { project } : {};
}

/** @throws SkerryError invalid-request where the project is missing */
function keyOf(kind: KindName, { name, project }: { readonly name: string; readonly project?: string }): Key {
  if (kinds[kind].scope === "zone") return { name };
  if (project !== undefined) return { project, name };
  throw new SkerryError("invalid-request", "It lives in a project, and names none.", {
    remedy: "Name the project in its metadata.",
  });
}

/** Of several, the one that is meant. */
function named(error: SkerryError, kind: KindName, name: string): SkerryError {
  const { remedy, errors, facts } = error;
  return new SkerryError(error.code, `${kind} ${name}: ${error.message}`, {
    ...(remedy === undefined ? {} : { remedy }),
    ...(errors === undefined ? {} : { errors }),
    ...(facts === undefined ? {} : { facts }),
    cause: error,
  });
}
