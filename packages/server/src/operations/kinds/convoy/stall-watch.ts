import type { OperationResource } from "@skerry/model";
import type { View } from "@skerry/store";
import { migrationOf } from "../migration-orders.ts";

/** How long a move may look the same before it no longer counts for the pace. */
const stallMs = 3 * 60_000;

export type End = "from" | "to";

/** Whose doing it is that a move does not go on in a step. */
const endOf: Readonly<Record<string, End>> = {
  stop: "from",
  offer: "from",
  copy: "to",
  switch: "to",
  start: "to",
  release: "from",
};

interface Sight {
  readonly face: string;
  readonly sinceMs: number;
}

/** Tells which moves do not go on, by what is seen of them; forgets at a kill, and then looks for as long again. */
export class StallWatch {
  readonly #seen = new Map<string, Sight>();

  /** The end that holds it up; undefined while it goes on. */
  stalledAt(view: View, operation: OperationResource, nowMs: number): End | undefined {
    const { id } = operation.metadata;
    const { state, steps } = operation.status;
    const step = steps.find((candidate) => candidate.state === "running");
    const face = JSON.stringify([state, step?.name, step?.attempts, step?.done]);
    const before = this.#seen.get(id);
    if (before?.face !== face) {
      this.#seen.set(id, { face, sinceMs: nowMs });
      return undefined;
    }
    if (nowMs - before.sinceMs < stallMs) return undefined;
    const end = endOf[step?.name ?? ""];
    if (end !== undefined) return end;
    const { nodeId } = migrationOf(operation).from;
    return view.getById("Node", nodeId)?.status.connected === true ? "to" : "from";
  }

  forget(operationId: string): void {
    this.#seen.delete(operationId);
  }
}
