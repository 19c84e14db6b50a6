import type { WantedState } from "@skerry/protocol";
import type { Store } from "@skerry/store";
import type { FleetView } from "./fleet-view.ts";
import { NodeIndex } from "./node-index.ts";
import { wantedStateOf } from "./wanted-state.ts";

interface Current {
  /** The content as text: what tells whether anything changed. */
  readonly text: string;
  readonly state: WantedState;
}

/**
 * The wanted state of every node: made anew when it is asked for after a change touched it, however many changes came between, and
 * numbered by the revision at which a change of its content was found. Listens to the store from the moment it is made, so that
 * whoever asks once a change is durable gets a state that has it.
 */
export class WantedStates {
  readonly #index: NodeIndex;
  readonly #current = new Map<string, Current>();
  readonly #stale = new Set<string>();
  readonly #unsubscribe: () => void;

  /** @param onChange called for each node whose content may have changed, after the change is durable */
  constructor(store: Store, onChange: (nodeId: string) => void) {
    this.#index = new NodeIndex(store);
    this.#unsubscribe = store.subscribe((events) => {
      const affected = this.#index.apply(events);
      for (const nodeId of affected) this.#stale.add(nodeId);
      for (const nodeId of affected) onChange(nodeId);
    });
  }

  /** Undefined for a node that is not known or has no place in the overlay yet. */
  get(nodeId: string): WantedState | undefined {
    if (!this.#current.has(nodeId) || this.#stale.has(nodeId)) this.#refresh(nodeId);
    return this.#current.get(nodeId)?.state;
  }

  /** At most the revision of what `get` would return; costs nothing. */
  lastRevision(nodeId: string): number | undefined {
    return this.#current.get(nodeId)?.state.revision;
  }

  /** What concerns each node, as of the newest durable change. */
  get fleet(): FleetView {
    return this.#index;
  }

  close(): void {
    this.#unsubscribe();
  }

  #refresh(nodeId: string): void {
    this.#stale.delete(nodeId);
    const content = wantedStateOf(this.#index, nodeId);
    const before = this.#current.get(nodeId);
    if (content === undefined) {
      this.#current.delete(nodeId);
      return;
    }
    const text = JSON.stringify(content);
    if (before?.text === text) return;
    this.#current.set(nodeId, { text, state: { revision: this.#index.revision, ...content } });
  }
}
