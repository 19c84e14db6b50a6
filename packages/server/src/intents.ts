import type { KindName, MoveForecast, OperationResource, ResourceOf } from "@skerry/model";
import type { Transaction } from "@skerry/store";
import type { TObject } from "typebox";
import type { Rights } from "./authorisation/rights.ts";

/** Who asks, why and when; made by the API from the authenticated request, by controllers for the system itself. */
export interface IntentContext {
  /** A token's name, or `system`. */
  readonly actor: string;
  readonly cause: string;
  readonly nowMs: number;
  /** Whether who asks may know of a resource, for advice; of none beyond what it works with where absent. */
  readonly sees?: (resource: ResourceOf<KindName>) => boolean;
  /** What who asks may do; not limited where absent. */
  readonly rights?: Rights;
  /** Whose requests count with those of who asks. */
  readonly countsWith?: string;
  makeId(prefix: string): string;
}

/** What a mutation did within its transaction. */
export interface IntentOutcome {
  readonly resource: ResourceOf<KindName>;
  /** The long-running rest of it; the API then answers 202. */
  readonly operation?: OperationResource;
  /** What many moves would come to: asked for in a rehearsal alone, once all else has been looked at. */
  readonly forecast?: (tx: Transaction) => MoveForecast;
  /** A secret shown this once (a token). */
  readonly secret?: string;
}

/** `POST …/{name}:{action}`: validated by `input`, run inside one transaction. */
export interface ActionIntent<K extends KindName> {
  readonly summary: string;
  readonly input: TObject;
  run(
    tx: Transaction,
    resource: ResourceOf<K>,
    input: Readonly<Record<string, unknown>>,
    context: IntentContext,
  ): IntentOutcome;
}

/**
 * What one kind means by create, update and delete. The API has already checked authorisation, schema, If-Match, name
 * uniqueness; an intent checks references and rules, puts every object that changes, and submits operations.
 * It is synchronous and pure but for the transaction, so that `?dryRun=true` can rehearse it.
 */
export interface KindIntents<K extends KindName> {
  /** `draft` has complete metadata and an initial status; the intent puts it (perhaps changed). */
  create(tx: Transaction, draft: ResourceOf<K>, context: IntentContext): IntentOutcome;
  /** `after` differs from `before` in spec or labels; its generation is already raised where the spec changed. */
  update(tx: Transaction, before: ResourceOf<K>, after: ResourceOf<K>, context: IntentContext): IntentOutcome;
  remove(tx: Transaction, resource: ResourceOf<K>, context: IntentContext): IntentOutcome;
  readonly initialStatus: ResourceOf<K>["status"];
  readonly actions: Readonly<Record<string, ActionIntent<K>>>;
}

export type IntentTable = { readonly [K in KindName]: KindIntents<K> };
