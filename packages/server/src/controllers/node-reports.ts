import type { ObservedState } from "@skerry/protocol";

export interface NodeReport {
  readonly state: ObservedState;
  /** Milliseconds since 1970, and by the clock that never jumps. */
  readonly receivedAtMs: number;
  readonly receivedMonotonicMs: number;
}

/** A report with what it says anything about. */
interface KeptReport extends NodeReport {
  /** Of instances and volumes. */
  readonly ids: ReadonlySet<string>;
}

/**
 * The last report of each node, in memory: what steps of operations read, and how old what was seen is. Of nodes that don't
 * own an object as well, whose reports never become status. Empty after a restart until the nodes report again.
 */
export class NodeReports {
  readonly #byNode = new Map<string, KeptReport>();
  readonly #listeners = new Set<(nodeIds: readonly string[]) => void>();

  get(nodeId: string): NodeReport | undefined {
    return this.#byNode.get(nodeId);
  }

  /** When the node last reported this object; undefined where its last report has no word of it. */
  seenAtMs(nodeId: string, objectId: string): number | undefined {
    const report = this.#byNode.get(nodeId);
    return report?.ids.has(objectId) === true ? report.receivedAtMs : undefined;
  }

  /** Called once what follows from the reports is in the store, so that nobody reads a status older than the report. */
  record(reports: ReadonlyMap<string, NodeReport>): void {
    for (const [nodeId, report] of reports) {
      const ids = new Set([...report.state.instances, ...report.state.volumes].map(({ id }) => id));
      this.#byNode.set(nodeId, { ...report, ids });
    }
    const nodeIds = [...reports.keys()];
    for (const listener of this.#listeners) listener(nodeIds);
  }

  forget(nodeId: string): void {
    this.#byNode.delete(nodeId);
  }

  onChange(listener: (nodeIds: readonly string[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
