import { kindNames } from "@skerry/model";
import type { KindName, ResourceOf } from "@skerry/model";
import { freeze, nameKey, projectPrefix } from "./object.ts";
import type { StoredObject } from "./object.ts";
import type { ChangeEvent, Documents, Key, StoredDocument, View } from "./store.ts";
import { ObjectCache } from "./table/object-cache.ts";
import { Table } from "./table/table.ts";

/** A view that changes can be applied to, in order of their revisions. */
export interface State extends View {
  apply(event: ChangeEvent): void;
}

interface KindRows {
  readonly table: Table;
  readonly cache: ObjectCache;
}

/** A state that holds its objects, as JSON in tables: the durable one. */
export class BaseState implements State, Documents {
  #revision: number;
  readonly #kinds: ReadonlyMap<KindName, KindRows>;

  constructor(revision: number) {
    this.#revision = revision;
    this.#kinds = new Map(kindNames.map((kind) => [kind, { table: new Table(), cache: new ObjectCache() }]));
  }

  get revision(): number {
    return this.#revision;
  }

  get<K extends KindName>(kind: K, key: Key): ResourceOf<K> | undefined {
    const rows = this.#rowsOf(kind);
    return objectAt(rows, rows.table.rowOfName(nameKey(kind, key))) as ResourceOf<K> | undefined;
  }

  getById<K extends KindName>(kind: K, id: string): ResourceOf<K> | undefined {
    const rows = this.#rowsOf(kind);
    return objectAt(rows, rows.table.rowOfId(id)) as ResourceOf<K> | undefined;
  }

  list<K extends KindName>(kind: K, project?: string): readonly ResourceOf<K>[] {
    const rows = this.#rowsOf(kind);
    const prefix = project === undefined ? "" : projectPrefix(project);
    const found: ResourceOf<K>[] = [];
    for (const row of rows.table.ordered(prefix, prefix)) found.push(objectAt(rows, row) as ResourceOf<K>);
    return found;
  }

  *scan<K extends KindName>(kind: K): Generator<ResourceOf<K>, void, void> {
    const { table, cache } = this.#rowsOf(kind);
    for (const row of table.ordered()) {
      const object = cache.peek(row) ?? (JSON.parse(table.text(row)) as StoredObject);
      yield object as ResourceOf<K>;
    }
  }

  document(kind: KindName, key: Key): StoredDocument | undefined {
    const rows = this.#rowsOf(kind);
    const row = rows.table.rowOfName(nameKey(kind, key));
    return row === -1 ? undefined : new RowDocument(rows, row);
  }

  *documents(kind: KindName, project?: string, after?: Key): Generator<StoredDocument, void, void> {
    const rows = this.#rowsOf(kind);
    const prefix = project === undefined ? "" : projectPrefix(project);
    const place = after === undefined ? "" : nameKey(kind, after);
    for (const row of rows.table.ordered(place > prefix ? place : prefix, prefix)) {
      if (after !== undefined && rows.table.name(row) === place) continue;
      yield new RowDocument(rows, row);
    }
  }

  apply(event: ChangeEvent): void {
    if (event.type === "deleted") this.#remove(event.object);
    else {
      const { object, json } = event;
      this.#rowsOf(event.kind).cache.set(this.#put(object, json), object, json.length);
    }
    this.#revision = event.revision;
  }

  /** Puts an object in without a change, and keeps nothing of it but its body. */
  load(object: StoredObject, body: string): void {
    this.#put(object, body);
  }

  #put(object: StoredObject, body: string): number {
    const { kind, metadata } = object;
    const { id, revision } = metadata;
    return this.#rowsOf(kind).table.put({ id, name: nameKey(kind, metadata), revision, body, node: nodeOf(object) });
  }

  #remove(object: StoredObject): void {
    const { table, cache } = this.#rowsOf(object.kind);
    const row = table.rowOfId(object.metadata.id);
    if (row === -1) return;
    table.delete(row);
    cache.delete(row);
  }

  #rowsOf(kind: KindName): KindRows {
    const rows = this.#kinds.get(kind);
    if (rows === undefined) throw new Error(`no such kind: ${kind}`);
    return rows;
  }
}

function objectAt({ table, cache }: KindRows, row: number): StoredObject | undefined {
  if (row === -1) return undefined;
  const bytes = table.bodyBytes(row);
  const known = cache.get(row, bytes);
  if (known !== undefined) return known;
  const object = freeze(JSON.parse(table.text(row)) as StoredObject);
  cache.set(row, object, bytes);
  return object;
}

function nodeOf(object: StoredObject): string {
  const { assignment } = object as { readonly assignment?: { readonly nodeId?: string } };
  return assignment?.nodeId ?? "";
}

class RowDocument implements StoredDocument {
  readonly #rows: KindRows;
  readonly #row: number;

  constructor(rows: KindRows, row: number) {
    this.#rows = rows;
    this.#row = row;
  }

  get id(): string {
    return this.#rows.table.id(this.#row);
  }

  get key(): Key {
    const name = this.#rows.table.name(this.#row);
    const space = name.indexOf(" ");
    return { project: space <= 0 ? undefined : name.slice(0, space), name: name.slice(space + 1) };
  }

  get revision(): number {
    return this.#rows.table.revision(this.#row);
  }

  get nodeId(): string | undefined {
    const node = this.#rows.table.node(this.#row);
    return node === "" ? undefined : node;
  }

  get json(): Uint8Array {
    return this.#rows.table.body(this.#row);
  }

  object(): StoredObject {
    const object = objectAt(this.#rows, this.#row);
    if (object === undefined) throw new Error("a document was used after a change");
    return object;
  }
}
