import { kindNames } from "@skerry/model";
import type { KindName, ResourceOf } from "@skerry/model";
import { nameKey, projectPrefix } from "./object.ts";
import type { StoredObject } from "./object.ts";
import { SortedKeys } from "./sorted-keys.ts";
import type { ChangeEvent, Key, View } from "./store.ts";

/** A view that changes can be applied to, in order of their revisions. */
export interface State extends View {
  apply(event: ChangeEvent): void;
}

interface Table {
  readonly byId: Map<string, StoredObject>;
  readonly byName: Map<string, StoredObject>;
  readonly names: SortedKeys;
}

/** A state that holds its objects: the durable one. */
export class BaseState implements State {
  #revision: number;
  readonly #tables: ReadonlyMap<KindName, Table>;

  constructor(revision: number) {
    this.#revision = revision;
    this.#tables = new Map(
      kindNames.map((kind) => [kind, { byId: new Map(), byName: new Map(), names: new SortedKeys() }]),
    );
  }

  get revision(): number {
    return this.#revision;
  }

  get<K extends KindName>(kind: K, key: Key): ResourceOf<K> | undefined {
    return this.#table(kind).byName.get(nameKey(kind, key)) as ResourceOf<K> | undefined;
  }

  getById<K extends KindName>(kind: K, id: string): ResourceOf<K> | undefined {
    return this.#table(kind).byId.get(id) as ResourceOf<K> | undefined;
  }

  list<K extends KindName>(kind: K, project?: string): readonly ResourceOf<K>[] {
    const { byName, names } = this.#table(kind);
    const found: ResourceOf<K>[] = [];
    for (const name of names.list(project === undefined ? undefined : projectPrefix(project))) {
      const object = byName.get(name);
      if (object !== undefined) found.push(object as ResourceOf<K>);
    }
    return found;
  }

  apply(event: ChangeEvent): void {
    if (event.type === "deleted") this.#remove(event.object);
    else this.set(event.object);
    this.#revision = event.revision;
  }

  /** Puts an object in without a change: for loading. */
  set(object: StoredObject): void {
    const { byId, byName, names } = this.#table(object.kind);
    const name = nameKey(object.kind, object.metadata);
    const before = byId.get(object.metadata.id);
    if (before !== undefined && nameKey(object.kind, before.metadata) !== name) this.#remove(before);
    if (!byName.has(name)) names.add(name);
    byName.set(name, object);
    byId.set(object.metadata.id, object);
  }

  #remove(object: StoredObject): void {
    const { byId, byName, names } = this.#table(object.kind);
    const name = nameKey(object.kind, object.metadata);
    byId.delete(object.metadata.id);
    if (byName.delete(name)) names.remove(name);
  }

  #table(kind: KindName): Table {
    const table = this.#tables.get(kind);
    if (table === undefined) throw new Error(`no such kind: ${kind}`);
    return table;
  }
}
