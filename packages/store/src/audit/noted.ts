import { withoutSecrets } from "@skerry/model";
import type { StoredObject, TracedChange } from "../object.ts";
import type { AuditNote } from "./note.ts";
import type { Masked, Noted } from "./record.ts";

/** What the log is told of a transaction that changed something. Bodies stay where they are, but for the few kinds that hold secrets. */
export function notedOf(note: AuditNote, changes: readonly TracedChange[]): Noted | undefined {
  const first = changes[0];
  const last = changes.at(-1);
  if (first === undefined || last === undefined) return undefined;
  let masked: Record<number, Masked> | undefined;
  for (const { event, before } of changes) {
    if (withoutSecrets(event.object) === event.object && (before === undefined || withoutSecrets(before) === before))
      continue;
    masked ??= {};
    masked[event.revision] = { before: maskedJson(before), after: maskedJson(event.object) };
  }
  return {
    first: first.event.revision,
    last: last.event.revision,
    timeMs: first.timeMs,
    actor: note.actor.name,
    note: JSON.stringify(note),
    ...(masked === undefined ? {} : { masked }),
  };
}

function maskedJson(object: StoredObject | undefined): string | undefined {
  return object === undefined ? undefined : JSON.stringify(withoutSecrets(object));
}
