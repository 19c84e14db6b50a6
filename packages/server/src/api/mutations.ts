import {
  SkerryError,
  kinds,
  type KindName,
  type CostEffect,
  type MoveForecast,
  type QuotaEffect,
  type RequestMark,
  type ResourceOf,
} from "@skerry/model";
import type { AuditNote, ChangeEvent, Committed, Key, Transaction, View } from "@skerry/store";
import { stillHolds } from "../authorisation/authentication.ts";
import { authoriseAnswer, authoriseChange, authoriseWish, isHidden, sees } from "../authorisation/authorise.ts";
import { placeOf } from "../authorisation/place.ts";
import type { Principal } from "../authorisation/principal.ts";
import type { Verb } from "../authorisation/verbs.ts";
import { monthOf } from "../controllers/metering/month.ts";
import { principalKey } from "../limits/request-limits.ts";
import { noteOf } from "./audit-note.ts";
import { costEffects } from "./cost-effect.ts";
import type { ApiDeps } from "./deps.ts";
import { readIdempotencyKey, type Answer, type IdempotentAnswers } from "./idempotency.ts";
import { TouchedObjects, type PlannedChange } from "./plan.ts";
import { quotaEffects } from "./quota-effect.ts";
import { recording, type RecordedRequests } from "./recorded-requests.ts";
import { represent } from "./representation.ts";
import { checkPreconditions, entityTag } from "./revision-match.ts";
import type { Call, Reply } from "./route.ts";
import type { WriteContext, WriteOutcome } from "./writes.ts";

/** Runs in one transaction, or in none where it is only rehearsed. */
export type Write = (tx: Transaction, context: WriteContext) => WriteOutcome;

/** What a mutation is of, and how one that is asked for again is known. */
export interface Mutated {
  readonly kind: KindName;
  readonly key: Key;
  readonly verb: Verb;
  readonly answers: IdempotentAnswers;
  readonly recorded: RecordedRequests;
}

/** The path of a resource. */
function pathOf(kind: KindName, key: Key): string {
  const parent = kinds[kind].scope === "project" ? `/api/v1/projects/${key.project ?? ""}` : "/api/v1";
  return `${parent}/${kinds[kind].plural}/${key.name}`;
}

/**
 * Commits a write and answers with what it made of the resource: 201 where it is new, 202 where an operation goes on
 * with it. With `?dryRun=true` nothing is committed, and the answer is the plan.
 */
export async function mutate(deps: ApiDeps, mutated: Mutated, call: Call, write: Write): Promise<Reply> {
  const run = (tx: Transaction): WriteOutcome => write(tx, contextOf(deps, call, mutated.verb));
  const note = noteOf(call);
  if (call.query.dryRun === "true") {
    return { status: 200, body: deps.store.rehearse((tx) => rehearsed(deps, tx, call.principal, run)).result };
  }
  const answerOf = (resource: ResourceOf<KindName>, reply: Reply): Answer => {
    const { kind, metadata } = resource;
    return { reply, kind, key: keyOf(metadata), place: placeOf(resource, call.principal.rights) };
  };
  const commit = async (mark?: RequestMark): Promise<Answer> => {
    const { result, changes } = await commitAs(deps, call, note, (tx) => {
      const outcome = mark === undefined ? run(tx) : recording(tx, mark, run);
      const { kind, metadata } = outcome.resource;
      return { ...outcome, stored: tx.getById(kind, metadata.id) };
    });
    return answerOf(result.resource, replyOf(result, result.stored, changes));
  };
  const { method, url } = call.request;
  const key = readIdempotencyKey(call.headers["idempotency-key"]);
  if (key === undefined) return (await commit()).reply;
  const nowMs = deps.clock.nowMs();
  // What is answered once more is authorised once more: where the thing was may not be theirs any longer.
  const again = (answer: Answer): void => {
    checkHolds(deps, deps.store, call);
    authoriseAnswer(call.principal, mutated.verb, answer.kind, answer.place, answer.key);
  };
  const { tokenId } = call.principal;
  return mutated.answers.once({ tokenId, key, method, url, body: call.body }, nowMs, again, async (mark) => {
    const there = deps.store.get(mutated.kind, mutated.key);
    // Whose mark it has is not told either.
    const isKnown = there === undefined || !isHidden(call.principal, mutated.verb, there);
    const before = isKnown ? mutated.recorded.find(mark, mutated.kind, mutated.key, nowMs) : undefined;
    if (before === undefined) return commit(mark);
    const answer = answerOf(before.resource, replyOf(before, before.resource));
    again(answer);
    return answer;
  });
}

function keyOf({ project, name }: Key): Key {
  return project === undefined ? { name } : { project, name };
}

/** One transaction of somebody's request. @throws SkerryError unauthenticated where their token does not hold any more */
export function commitAs<T>(
  deps: Pick<ApiDeps, "store" | "rights" | "clock">,
  { principal }: Pick<Call, "principal">,
  note: AuditNote,
  work: (tx: Transaction) => T,
): Promise<Committed<T>> {
  return deps.store.transact((tx) => {
    // The token may have gone while the body was on its way, or while earlier transactions ran.
    checkHolds(deps, tx, { principal });
    return work(tx);
  }, note);
}

/** @throws SkerryError unauthenticated */
function checkHolds(
  { rights, clock }: Pick<ApiDeps, "rights" | "clock">,
  view: View,
  { principal }: Pick<Call, "principal">,
): void {
  if (stillHolds(view, rights, principal, clock.nowMs())) return;
  throw new SkerryError("unauthenticated", "The token has expired, was deleted, or has other rights now.");
}

/** What a write would come to, as far as who asks may see it. Secrets are not shown: none is made that would hold. */
interface Rehearsal {
  readonly plan: readonly PlannedChange[];
  readonly resource: ResourceOf<KindName>;
  readonly operation?: ResourceOf<"Operation">;
  readonly quota: readonly QuotaEffect[];
  readonly cost: readonly CostEffect[];
  readonly moves?: MoveForecast;
}

export function rehearsed(
  deps: Pick<ApiDeps, "usage" | "spend" | "store" | "fleet" | "clock">,
  tx: Transaction,
  principal: Principal,
  run: (tx: Transaction) => Pick<WriteOutcome, "resource" | "operation" | "forecast">,
): Rehearsal {
  const touched = new TouchedObjects(tx);
  const { resource, operation, forecast } = run(touched.transaction());
  const { kind, metadata } = resource;
  // As it will be once nodes have done their part.
  touched.finishDeletions();
  const nowMs = deps.clock.nowMs();
  const effects = {
    plan: touched.plan(principal),
    resource: represent(tx.getById(kind, metadata.id) ?? resource),
    ...(operation === undefined ? {} : { operation }),
    quota: quotaEffects(deps, tx, principal, nowMs),
    cost: costEffects(deps.fleet, tx, principal, monthOf(nowMs)),
  };
  // It goes on with the rehearsal, and so comes last.
  return forecast === undefined ? effects : { ...effects, moves: forecast(tx) };
}

export function contextOf(deps: ApiDeps, call: Call, verb: Verb): WriteContext {
  return {
    intents: deps.intents,
    sealer: deps.sealer,
    checkPreconditions: (current) => checkPreconditions(call.headers, current),
    isHidden: (resource) => isHidden(call.principal, verb, resource),
    authoriseChange: (resource) => authoriseChange(call.principal, verb, resource),
    authoriseWish: (resource, as = verb) => authoriseWish(call.principal, as, resource),
    context: {
      actor: call.principal.name,
      cause: call.cause,
      nowMs: deps.clock.nowMs(),
      sees: (resource) => sees(call.principal, resource),
      rights: call.principal.rights,
      countsWith: principalKey(call.principal),
      makeId: deps.makeId,
    },
  };
}

/**
 * @param stored the resource at the end of the transaction; undefined where it is gone
 * @param changes what the transaction has written
 */
function replyOf(
  outcome: WriteOutcome,
  stored: ResourceOf<KindName> | undefined,
  changes: readonly ChangeEvent[] = [],
): Reply {
  const { operation, secret, created, result } = outcome;
  const resource = stored ?? outcome.resource;
  const last = changes.at(-1);
  const location =
    operation === undefined ? pathOf(resource.kind, resource.metadata) : pathOf("Operation", operation.metadata);
  const fields = [
    `"resource":${jsonOf(resource, changes)}`,
    ...(operation === undefined ? [] : [`"operation":${jsonOf(operation, changes)}`]),
    ...(secret === undefined ? [] : [`"secret":${JSON.stringify(secret)}`]),
    ...(result === undefined ? [] : [`"result":${JSON.stringify(result)}`]),
    ...(last === undefined ? [] : [`"revision":${last.revision}`]),
  ];
  return {
    status: operation !== undefined || stored?.metadata.deletedAt !== undefined ? 202 : created ? 201 : 200,
    headers: {
      ...(stored === undefined ? {} : { etag: entityTag(stored) }),
      ...(operation !== undefined || created ? { location } : {}),
      ...(secret === undefined ? {} : { "cache-control": "no-store" }),
    },
    json: `{${fields.join(",")}}`,
  };
}

/** A resource as it may leave the server. What was just written is there as JSON already. */
function jsonOf(resource: ResourceOf<KindName>, changes: readonly ChangeEvent[]): string {
  const shown = represent(resource);
  const written = shown === resource ? changes.find(({ object }) => object === resource) : undefined;
  return written?.json ?? JSON.stringify(shown);
}
