import { isDeepStrictEqual } from "node:util";
import type { ObservedInstance, ObservedState, ObservedVolume } from "@skerry/protocol";

export interface NodeReport {
  readonly state: ObservedState;
  /** Milliseconds since 1970, and by the clock that never jumps. */
  readonly receivedAtMs: number;
  readonly receivedMonotonicMs: number;
}

/** A report with what it says of each instance and volume. */
interface KeptReport extends NodeReport {
  readonly objects: ReadonlyMap<string, ObservedInstance | ObservedVolume>;
}

/**
 * The last report of each node, in memory: what steps of operations read, and how old what was seen is. Of nodes that don't
 * own an object as well, whose reports never become status. Empty after a restart until the nodes report again.
 */
export class NodeReports {
  readonly #byNode = new Map<string, KeptReport>();
  readonly #listeners = new Set<(ids: readonly string[]) => void>();

  get(nodeId: string): NodeReport | undefined {
    return this.#byNode.get(nodeId);
  }

  /** When the node last reported this object; undefined where its last report has no word of it. */
  seenAtMs(nodeId: string, objectId: string): number | undefined {
    const report = this.#byNode.get(nodeId);
    return report?.objects.has(objectId) === true ? report.receivedAtMs : undefined;
  }

  /** Called once what follows from the reports is in the store, so that nobody reads a status older than the report. */
  record(reports: ReadonlyMap<string, NodeReport>): void {
    const changed: string[] = [];
    for (const [nodeId, report] of reports) {
      const objects = new Map(
        [...report.state.instances, ...report.state.volumes].map((object) => [object.id, object]),
      );
      const kept = { ...report, objects };
      changed.push(...changedIds(nodeId, this.#byNode.get(nodeId), kept));
      this.#byNode.set(nodeId, kept);
    }
    if (changed.length > 0) for (const listener of this.#listeners) listener(changed);
  }

  forget(nodeId: string): void {
    this.#byNode.delete(nodeId);
  }

  /**
   * Tells the ids of the instances and volumes of which a report says something new, or says nothing any more; and the node's where
   * it knows of another wanted state now, which may answer whoever waits for anything on it.
   */
  onChange(listener: (ids: readonly string[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

function changedIds(nodeId: string, before: KeptReport | undefined, after: KeptReport): string[] {
  const changed = before?.state.wantedRevision === after.state.wantedRevision ? [] : [nodeId];
  for (const [id, object] of after.objects) if (!isDeepStrictEqual(before?.objects.get(id), object)) changed.push(id);
  for (const id of before?.objects.keys() ?? []) if (!after.objects.has(id)) changed.push(id);
  return changed;
}
