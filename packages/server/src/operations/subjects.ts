import { SkerryError, type OperationResource, type Reference } from "@skerry/model";
import type { View } from "@skerry/store";
import { isOver } from "./transitions.ts";

/**
 * Finds the operation that works on a subject, without reading all of them. It remembers the last operation submitted for
 * each subject, also of transactions that came to nothing; the transaction at hand has the last word.
 */
export class Subjects {
  readonly #last = new Map<string, string>();

  remember(operation: OperationResource): void {
    this.#last.set(subjectKey(operation.spec.targets[0]), operation.metadata.id);
  }

  forget(operation: OperationResource): void {
    const key = subjectKey(operation.spec.targets[0]);
    if (this.#last.get(key) === operation.metadata.id) this.#last.delete(key);
  }

  activeOn(view: View, subject: Reference): OperationResource | undefined {
    const key = subjectKey(subject);
    const id = this.#last.get(key);
    if (id === undefined) return undefined;
    const last = view.getById("Operation", id);
    if (last !== undefined) return isOver(last.status.state) ? undefined : last;
    // The last submission was rolled back or rehearsed; an earlier one may still be there.
    return view
      .list("Operation")
      .find((operation) => !isOver(operation.status.state) && subjectKey(operation.spec.targets[0]) === key);
  }
}

export function busy(subject: Reference, active: OperationResource): SkerryError {
  return new SkerryError("busy", `${active.spec.type} is already working on ${subject.kind} ${subject.name}.`, {
    remedy: `Wait for it or cancel it: skerry operation show ${active.metadata.name}`,
    facts: { operation: active.metadata.name, type: active.spec.type },
  });
}

function subjectKey(reference: Reference | undefined): string {
  return `${reference?.kind}/${reference?.project ?? ""}/${reference?.name}`;
}
