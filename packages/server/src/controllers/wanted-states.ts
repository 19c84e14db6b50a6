import type { WantedChange, WantedState } from "@skerry/protocol";
import type { Store } from "@skerry/store";
import type { FleetView } from "./fleet-view.ts";
import { NodeIndex } from "./node-index.ts";
import { Touches, type Touched } from "./touches.ts";
import { WantedMarks } from "./wanted-marks.ts";
import {
  wantedInstanceOf,
  wantedStateOf,
  wantedSurroundingsOf,
  wantedVolumeOf,
  type WantedContent,
} from "./wanted-state.ts";

interface Current {
  readonly marks: WantedMarks;
  /** Made again where it was forgotten: those of all nodes together are as large as the store. */
  state: WeakRef<WantedState> | undefined;
}

/**
 * The wanted state of every node: brought up to date when it is asked for after a change touched it, however many changes came between,
 * and numbered by the revision at which a change of its content was found. Bringing it up to date costs what was touched. Listens to the
 * store from the moment it is made, so that whoever asks once a change is durable gets a state that has it.
 */
export class WantedStates {
  readonly #index: NodeIndex;
  readonly #current = new Map<string, Current>();
  /** Of nodes that are in `#current`. */
  readonly #touches = new Touches();
  readonly #unsubscribe: () => void;

  /** @param onChange called for each node whose content may have changed, after the change is durable */
  constructor(store: Store, onChange: (nodeId: string) => void) {
    this.#index = new NodeIndex(store);
    this.#unsubscribe = store.subscribe((events, before) => {
      const touched = this.#index.apply(events, before);
      for (const [nodeId, what] of touched) if (this.#current.has(nodeId)) this.#touches.add(nodeId, what);
      for (const event of events) if (event.kind === "Node" && event.type === "deleted") this.#forget(event.id);
      for (const nodeId of touched.keys()) onChange(nodeId);
    });
  }

  /** Undefined for a node that is not known or has no place in the overlay yet. */
  get(nodeId: string): WantedState | undefined {
    const current = this.#refreshed(nodeId);
    const known = current?.state?.deref();
    if (current === undefined || known?.revision === current.marks.revision) return known;
    return this.#whole(nodeId, current);
  }

  /**
   * What has changed of the state that was wanted at a revision; nothing but the same revision where nothing has. Undefined where that is
   * not known any more, and where `get` is.
   */
  changeSince(nodeId: string, since: number): WantedChange | undefined {
    const current = this.#refreshed(nodeId);
    const changed = current?.marks.since(since);
    if (current === undefined || changed === undefined) return undefined;
    const surroundings = changed.surroundings ? wantedSurroundingsOf(this.#index, nodeId) : undefined;
    return {
      since,
      revision: current.marks.revision,
      ...(surroundings === undefined ? {} : { surroundings }),
      volumes: changed.volumes.flatMap((id) => wantedVolumeOf(this.#index, id, nodeId) ?? []),
      instances: changed.instances.flatMap((id) => wantedInstanceOf(this.#index, id, nodeId) ?? []),
      unmentioned: [...changed.unmentioned],
    };
  }

  /** The revision of what `get` returns, without making that where it was known. */
  revisionOf(nodeId: string): number | undefined {
    return this.#refreshed(nodeId)?.marks.revision;
  }

  /** At most the revision of what `get` would return; costs nothing. */
  lastRevision(nodeId: string): number | undefined {
    return this.#current.get(nodeId)?.marks.revision;
  }

  /** What concerns each node, as of the newest durable change. */
  get fleet(): FleetView {
    return this.#index;
  }

  close(): void {
    this.#unsubscribe();
  }

  #forget(nodeId: string): void {
    this.#current.delete(nodeId);
    this.#touches.take(nodeId);
  }

  #refreshed(nodeId: string): Current | undefined {
    const current = this.#current.get(nodeId);
    const touched = this.#touches.take(nodeId);
    if (current === undefined || touched?.everything === true) {
      this.#whole(nodeId, current);
      return this.#current.get(nodeId);
    }
    if (touched !== undefined && !this.#retouch(nodeId, current.marks, touched)) this.#current.delete(nodeId);
    return this.#current.get(nodeId);
  }

  #whole(nodeId: string, current: Current | undefined): WantedState | undefined {
    const content = wantedStateOf(this.#index, nodeId);
    if (content === undefined) {
      this.#current.delete(nodeId);
      return undefined;
    }
    const marks = current?.marks ?? new WantedMarks(this.#index.revision);
    markAll(marks, content, this.#index.revision);
    const state = { revision: marks.revision, ...content };
    this.#current.set(nodeId, { marks, state: new WeakRef(state) });
    return state;
  }

  /** Whether the node is still there. */
  #retouch(nodeId: string, marks: WantedMarks, touched: Touched): boolean {
    const { revision } = this.#index;
    if (touched.surroundings) {
      const surroundings = wantedSurroundingsOf(this.#index, nodeId);
      if (surroundings === undefined) return false;
      marks.surroundings(surroundings, revision);
    }
    for (const id of touched.volumes) marks.volume(id, wantedVolumeOf(this.#index, id, nodeId), revision);
    for (const id of touched.instances) marks.instance(id, wantedInstanceOf(this.#index, id, nodeId), revision);
    return true;
  }
}

function markAll(marks: WantedMarks, { volumes, instances, ...surroundings }: WantedContent, revision: number): void {
  marks.surroundings(surroundings, revision);
  const left = marks.mentioned();
  for (const volume of volumes) {
    marks.volume(volume.id, volume, revision);
    left.volumes.delete(volume.id);
  }
  for (const instance of instances) {
    marks.instance(instance.id, instance, revision);
    left.instances.delete(instance.id);
  }
  for (const id of left.volumes) marks.volume(id, undefined, revision);
  for (const id of left.instances) marks.instance(id, undefined, revision);
}
