import { Type } from "typebox";
import {
  FieldManager,
  MetadataInput,
  Name,
  SkerryError,
  isRecord,
  kindNames,
  kinds,
  oneOf,
  optional,
  parserOf,
  planLimits,
  strict,
  type KindName,
  type RecordKind,
} from "@skerry/model";
import type { Key, Transaction } from "@skerry/store";
import { authorise } from "../authorisation/authorise.ts";
import type { Verb } from "../authorisation/verbs.ts";
import { apply, checkManager } from "./apply.ts";
import { monthOf } from "../controllers/metering/month.ts";
import { costEffects } from "./cost-effect.ts";
import type { ApiDeps } from "./deps.ts";
import { contextOf } from "./mutations.ts";
import { TouchedObjects } from "./plan.ts";
import { quotaEffects } from "./quota-effect.ts";
import { placeOfItem } from "./resource-routes.ts";
import { schemaRef, type Call, type GuardedRoute, type Reply } from "./route.ts";
import { remove } from "./writes.ts";

type WritableKind = Exclude<KindName, RecordKind>;
const writableKinds = kindNames.filter((kind): kind is WritableKind => !isRecord(kind));

const Kind = oneOf(writableKinds as unknown as readonly [WritableKind, ...WritableKind[]]);

/** The specs are checked one by one, by their kinds. */
const PlanRequest = strict({
  fieldManager: FieldManager,
  force: optional(Type.Boolean({ description: "take over what other managers have" })),
  resources: Type.Array(
    strict({
      kind: Kind,
      metadata: strict({ ...MetadataInput.properties, name: Name }),
      spec: optional(Type.Object({})),
    }),
    { maxItems: planLimits.resources },
  ),
  deletions: optional(
    Type.Array(strict({ kind: Kind, metadata: strict({ name: Name, project: optional(Name) }) }), {
      maxItems: planLimits.resources,
      description: "what would be deleted after that, in this order, each gone before the next",
    }),
  ),
});
/** Nothing else happens on this server meanwhile. */
const maxMs = 1000;
const parseRequest = parserOf(PlanRequest, "request");

/** `POST /api/v1/plan`: what an apply of each, and then deletions, would change in all; each sees what those before it did. */
export function planRoute(deps: ApiDeps): GuardedRoute {
  return {
    method: "POST",
    path: "/api/v1/plan",
    operationId: "planResources",
    summary:
      "What server-side apply of all of these, one after the other, and then deletions would change; each sees those before it. " +
      "Changes nothing.",
    tag: "Server",
    access: "any-token",
    body: { contentType: "application/json", schema: PlanRequest },
    maxBodyBytes: planLimits.bytes,
    replies: { 200: { description: "The plan.", schema: schemaRef("Plan") } },
    handle: (call) => plan(deps, call),
  };
}

function plan(deps: ApiDeps, call: Call): Reply {
  const { fieldManager: manager, force = false, resources, deletions = [] } = parseRequest(call.body);
  checkManager(manager);
  const asked = resources.length + deletions.length;
  if (asked === 0 || asked > planLimits.resources) throw wrongCount(asked);
  // It does as much as so many requests; one has been counted.
  deps.limits.admit(call.principal, asked - 1);
  const require = (verb: Verb, { kind, metadata }: Pick<(typeof resources)[number], "kind" | "metadata">): void => {
    const key = keyOf(kind, metadata);
    authorise(call.principal, verb, kind, placeOfItem(deps, kind, key), key);
  };
  for (const resource of resources) for (const verb of ["put", "patch"] as const) require(verb, resource);
  for (const deletion of deletions) require("delete", deletion);
  // Each is a change of its project as any rehearsal is; last of who may, as with those.
  const changes = new Map<string, number>();
  for (const { kind, metadata } of [...resources, ...deletions]) {
    const { project } = keyOf(kind, metadata);
    if (project !== undefined) changes.set(project, (changes.get(project) ?? 0) + 1);
  }
  for (const [project, count] of changes) deps.limits.admitChange(project, deps.ratesOf(project), count);
  const writing = { ...contextOf(deps, call, "patch"), checkPreconditions: () => undefined };
  const deleting = { ...contextOf(deps, call, "delete"), checkPreconditions: () => undefined };
  const startedMs = deps.clock.monotonicMs();
  const { result } = deps.store.rehearse((tx: Transaction) => {
    const touched = new TouchedObjects(tx);
    const seen = touched.transaction();
    const step = (index: number, { kind, metadata }: Planned, work: (key: Key) => void): void => {
      if (deps.clock.monotonicMs() - startedMs > maxMs) throw tooLong(index, asked);
      try {
        work(keyOf(kind, metadata));
      } catch (error) {
        throw error instanceof SkerryError ? named(error, kind, metadata.name) : error;
      }
    };
    for (const [index, resource] of resources.entries())
      step(index, resource, (key) => apply(seen, resource.kind, key, resource, { manager, force }, writing));
    for (const [index, gone] of deletions.entries()) {
      step(resources.length + index, gone, (key) => {
        remove(seen, gone.kind, key, deleting);
        // What a node or an operation would do until the next one's turn.
        touched.finishDeletions();
      });
    }
    const { principal } = call;
    const nowMs = deps.clock.nowMs();
    return {
      plan: touched.plan(principal),
      quota: quotaEffects(deps, tx, principal, nowMs),
      cost: costEffects(deps.fleet, tx, principal, monthOf(nowMs)),
    };
  });
  return { status: 200, body: result };
}

interface Planned {
  readonly kind: WritableKind;
  readonly metadata: { readonly name: string; readonly project?: string };
}

function wrongCount(asked: number): SkerryError {
  return new SkerryError(
    "invalid-request",
    `A plan is of 1 to ${planLimits.resources} resources, and not of ${asked}.`,
    {
      remedy: "Plan those first that others stand on, and apply them.",
    },
  );
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
