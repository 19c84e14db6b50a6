import type { KindName, ResourceOf } from "@skerry/model";
import { nameKey } from "./object.ts";
import type { StoredObject } from "./object.ts";
import type { OutlinedKind, Plains } from "./outline.ts";
import type { State } from "./state.ts";
import type { ChangeEvent, Key, View } from "./store.ts";

interface Entry {
  readonly revision: number;
  /** Undefined where the object, or this name for one, is gone. */
  readonly object: StoredObject | undefined;
}

interface Layer {
  readonly byId: Map<string, Entry>;
  readonly byName: Map<string, Entry>;
}

/**
 * A state that holds only its difference from another: the changes in flight over the durable state, and a
 * transaction's own over those. Costs memory per change, not per object.
 */
export class Overlay implements State {
  readonly #base: View;
  readonly #layers = new Map<KindName, Layer>();
  #revision = 0;

  constructor(base: View) {
    this.#base = base;
  }

  get revision(): number {
    return Math.max(this.#revision, this.#base.revision);
  }

  get<K extends KindName>(kind: K, key: Key): ResourceOf<K> | undefined {
    const layer = this.#layers.get(kind);
    // Of most kinds nothing is in flight, and most reads are of these.
    const entry = layer === undefined || layer.byName.size === 0 ? undefined : layer.byName.get(nameKey(kind, key));
    return entry === undefined ? this.#base.get(kind, key) : (entry.object as ResourceOf<K> | undefined);
  }

  getById<K extends KindName>(kind: K, id: string): ResourceOf<K> | undefined {
    const entry = this.#layers.get(kind)?.byId.get(id);
    return entry === undefined ? this.#base.getById(kind, id) : (entry.object as ResourceOf<K> | undefined);
  }

  list<K extends KindName>(kind: K, project?: string): readonly ResourceOf<K>[] {
    const below = this.#base.list(kind, project);
    const layer = this.#layers.get(kind);
    if (layer === undefined || layer.byId.size === 0) return below;
    const found = below.filter((object) => !layer.byId.has(object.metadata.id));
    for (const { object } of layer.byId.values()) {
      if (object === undefined || (project !== undefined && object.metadata.project !== project)) continue;
      found.push(object as ResourceOf<K>);
    }
    return found.sort((a, b) => (nameKey(kind, a.metadata) < nameKey(kind, b.metadata) ? -1 : 1));
  }

  scan<K extends KindName>(kind: K): Iterable<ResourceOf<K>> {
    const layer = this.#layers.get(kind);
    return layer === undefined || layer.byId.size === 0 ? this.#base.scan(kind) : this.list(kind);
  }

  plains<K extends OutlinedKind>(kind: K, visit: (object: Plains[K]) => void): void {
    if (this.#isBare()) this.#base.plains(kind, visit);
  }

  notables<K extends OutlinedKind>(kind: K): Iterable<ResourceOf<K>> {
    // While something is in flight nothing is taken for plain: that is rare where sums are made.
    return this.#isBare() ? this.#base.notables(kind) : this.list(kind);
  }

  apply(event: ChangeEvent): void {
    const { kind, id, object, revision } = event;
    const layer = this.#layer(kind);
    // What was created was not there before, unless it went in between.
    const before = event.type === "created" && !layer.byId.has(id) ? undefined : this.getById(kind, id);
    if (before !== undefined) layer.byName.set(nameKey(kind, before.metadata), { revision, object: undefined });
    if (event.type === "deleted") {
      layer.byId.set(id, { revision, object: undefined });
    } else {
      layer.byId.set(id, { revision, object });
      layer.byName.set(nameKey(kind, object.metadata), { revision, object });
    }
    this.#revision = revision;
  }

  /** Drops what the base now shows itself: all changes up to its revision. O(changes held). */
  settle(): void {
    const settled = this.#base.revision;
    for (const { byId, byName } of this.#layers.values()) {
      for (const entries of [byId, byName]) {
        entries.forEach(({ revision }, key) => {
          if (revision <= settled) entries.delete(key);
        });
      }
    }
  }

  /** Drops every change. */
  clear(): void {
    this.#layers.clear();
    this.#revision = 0;
  }

  /** Whether it shows just what its base does. */
  #isBare(): boolean {
    return this.#layers.values().every(({ byId }) => byId.size === 0);
  }

  #layer(kind: KindName): Layer {
    const known = this.#layers.get(kind);
    if (known !== undefined) return known;
    const layer: Layer = { byId: new Map(), byName: new Map() };
    this.#layers.set(kind, layer);
    return layer;
  }
}
