import type { KindName, ResourceOf } from "@skerry/model";
import type { IntentContext, IntentOutcome } from "../../intents.ts";
import type { Transaction } from "@skerry/store";
import { timestamp } from "../../operations/clock.ts";

/** Puts an object as it is: what a change comes to where nothing else follows from it. */
export function store<K extends KindName>(tx: Transaction, object: ResourceOf<K>): IntentOutcome {
  return { resource: tx.put(object) };
}

/** Deletes at once, for what lives nowhere but in the store. */
export function forget<K extends KindName>(
  tx: Transaction,
  resource: ResourceOf<K>,
  context: IntentContext,
): IntentOutcome {
  tx.delete(resource.kind, resource.metadata.id);
  return { resource: { ...resource, metadata: { ...resource.metadata, deletedAt: timestamp(context.nowMs) } } };
}
