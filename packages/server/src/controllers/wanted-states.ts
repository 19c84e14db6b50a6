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
 * The wanted state of every node, made anew when a change touched it and numbered by the revision at which its content
 * last changed. Listens to the store from the moment it is made, so that it is up to date whenever a change is durable.
 */
export class WantedStates {
  readonly #index: NodeIndex;
  readonly #current = new Map<string, Current>();
  readonly #stale = new Set<string>();
  readonly #onChange: (nodeId: string) => void;
  readonly #unsubscribe: () => void;

  /** @param onChange called for each node whose content changed, after the change is durable */
  constructor(store: Store, onChange: (nodeId: string) => void) {
    this.#onChange = onChange;
    this.#index = new NodeIndex(store);
    this.#unsubscribe = store.subscribe((events) => {
      const affected = this.#index.apply(events);
      for (const nodeId of affected) this.#stale.add(nodeId);
      for (const nodeId of affected) this.#refresh(nodeId, true);
    });
  }

  /** Undefined for a node that is not known or has no place in the overlay yet. */
  get(nodeId: string): WantedState | undefined {
    if (!this.#current.has(nodeId) || this.#stale.has(nodeId)) this.#refresh(nodeId, false);
    return this.#current.get(nodeId)?.state;
  }

  /** What concerns each node, as of the newest durable change. */
  get fleet(): FleetView {
    return this.#index;
  }

  close(): void {
    this.#unsubscribe();
  }

  #refresh(nodeId: string, tell: boolean): void {
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
    if (tell) this.#onChange(nodeId);
  }
}
