import { SkerryError, type OperationResource, type Reference } from "@skerry/model";
import type { ChangeEvent, Transaction } from "@skerry/store";
import { OwnChanges } from "../own-changes.ts";
import { isOver } from "./transitions.ts";

/** By subject: the id of the operation that works on it. */
type Active = Map<string, string>;

/**
 * Finds the operation that works on a subject, without reading all of them: of those in the newest state, which it is to be told of,
 * and of what the transaction at hand has submitted itself. What is rehearsed or comes to nothing leaves nothing here.
 */
export class Subjects {
  readonly #active: Active = new Map();
  readonly #own = new OwnChanges<Active>(
    () => new Map(),
    (own, changes) => {
      for (const { event } of changes) note(own, event);
    },
  );

  /** How many subjects something works on. */
  get size(): number {
    return this.#active.size;
  }

  clear(): void {
    this.#active.clear();
  }

  remember(operation: OperationResource): void {
    this.#active.set(subjectKey(operation.spec.targets[0]), operation.metadata.id);
  }

  applied(events: readonly ChangeEvent[]): void {
    for (const event of events) note(this.#active, event);
  }

  activeOn(tx: Transaction, subject: Reference): OperationResource | undefined {
    const key = subjectKey(subject);
    const id = this.#own.of(tx.written, tx).get(key) ?? this.#active.get(key);
    const found = id === undefined ? undefined : tx.getById("Operation", id);
    // The transaction may have ended it.
    return found === undefined || isOver(found.status.state) ? undefined : found;
  }
}

function note(active: Active, { kind, type, object }: ChangeEvent): void {
  if (kind !== "Operation") return;
  const { spec, status, metadata } = object as OperationResource;
  const key = subjectKey(spec.targets[0]);
  if (type !== "deleted" && !isOver(status.state)) active.set(key, metadata.id);
  else if (active.get(key) === metadata.id) active.delete(key);
}

export function busy(subject: Reference, active: OperationResource): SkerryError {
  return new SkerryError("busy", `${active.spec.type} is already working on ${subject.kind} ${subject.name}.`, {
    remedy: `Wait for it (skerry operation wait ${active.metadata.name}) or cancel it (skerry operation cancel ${active.metadata.name}).`,
    facts: { operation: active.metadata.name, type: active.spec.type },
  });
}

function subjectKey(reference: Reference | undefined): string {
  return `${reference?.kind}/${reference?.project ?? ""}/${reference?.name}`;
}
