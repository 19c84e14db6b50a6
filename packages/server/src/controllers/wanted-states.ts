import { hash } from "node:crypto";
import type { WantedState } from "@skerry/protocol";
import type { Store } from "@skerry/store";
import type { FleetView } from "./fleet-view.ts";
import { NodeIndex } from "./node-index.ts";
import { wantedStateOf } from "./wanted-state.ts";

interface Current {
  readonly revision: number;
  /** Of the content: what tells whether anything changed. */
  readonly digest: string;
  /** Made again where it was forgotten: those of all nodes together are as large as the store. */
  readonly state: WeakRef<WantedState>;
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
    this.#unsubscribe = store.subscribe((events, before) => {
      const affected = this.#index.apply(events, before);
      for (const nodeId of affected) this.#stale.add(nodeId);
      for (const nodeId of affected) onChange(nodeId);
    });
  }

  /** Undefined for a node that is not known or has no place in the overlay yet. */
  get(nodeId: string): WantedState | undefined {
    const known = this.#stale.has(nodeId) ? undefined : this.#current.get(nodeId)?.state.deref();
    return known ?? this.#refresh(nodeId);
  }

  /** The revision of what `get` returns, without making that where nothing has changed. */
  revisionOf(nodeId: string): number | undefined {
    const known = this.#stale.has(nodeId) ? undefined : this.#current.get(nodeId);
    return (known ?? this.#refresh(nodeId))?.revision;
  }

  /** At most the revision of what `get` would return; costs nothing. */
  lastRevision(nodeId: string): number | undefined {
    return this.#current.get(nodeId)?.revision;
  }

  /** What concerns each node, as of the newest durable change. */
  get fleet(): FleetView {
    return this.#index;
  }

  close(): void {
    this.#unsubscribe();
  }

  #refresh(nodeId: string): WantedState | undefined {
    this.#stale.delete(nodeId);
    const content = wantedStateOf(this.#index, nodeId);
    const before = this.#current.get(nodeId);
    if (content === undefined) {
      this.#current.delete(nodeId);
      return undefined;
    }
    const digest = hash("sha256", JSON.stringify(content), "base64");
    const revision = before?.digest === digest ? before.revision : this.#index.revision;
    const state = { revision, ...content };
    this.#current.set(nodeId, { revision, digest, state: new WeakRef(state) });
    return state;
  }
}
