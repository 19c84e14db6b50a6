import { kindNames } from "@skerry/model";
import type { KindName, ResourceOf } from "@skerry/model";
import { freeze, nameKey, projectPrefix } from "./object.ts";
import type { StoredObject } from "./object.ts";
import { factsOf, type OutlinedKind, type Plains } from "./outline.ts";
import type { ChangeEvent, Documents, Key, Label, StoredDocument, View } from "./store.ts";
import { ObjectCache } from "./table/object-cache.ts";
import { InstanceCursor, VolumeCursor } from "./table/plain-cursor.ts";
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
    const rows = this.#rowsOf(kind);
    for (const row of rows.table.ordered()) yield looseObjectAt(rows, row) as ResourceOf<K>;
  }

  plains<K extends OutlinedKind>(kind: K, visit: (object: Plains[K]) => void): void {
    const table = this.table(kind);
    const cursor = kind === "Volume" ? new VolumeCursor(table) : new InstanceCursor(table, this.table("Volume"));
    table.eachOrdered((row) => {
      if (!table.isPlain(row)) return;
      cursor.row = row;
      visit(cursor as unknown as Plains[K]);
    });
  }

  *notables<K extends OutlinedKind>(kind: K): Generator<ResourceOf<K>, void, void> {
    const rows = this.#rowsOf(kind);
    for (const row of rows.table.ordered())
      if (!rows.table.isPlain(row)) yield looseObjectAt(rows, row) as ResourceOf<K>;
  }

  count(kind: KindName): number {
    return this.table(kind).size;
  }

  document(kind: KindName, key: Key): StoredDocument | undefined {
    const rows = this.#rowsOf(kind);
    const row = rows.table.rowOfName(nameKey(kind, key));
    return row === -1 ? undefined : new RowDocument(rows, row);
  }

  *documents(
    kind: KindName,
    project?: string,
    after?: Key,
    labels: readonly Label[] = [],
  ): Generator<StoredDocument, void, void> {
    const rows = this.#rowsOf(kind);
    const { table } = rows;
    const prefix = project === undefined ? "" : projectPrefix(project);
    const place = after === undefined ? "" : nameKey(kind, after);
    const from = place > prefix ? place : prefix;
    // By the label that fewest have; whoever asked looks at the others.
    const count = ([key, value]: Label): number => table.countLabelled(key, value);
    const [rarest] = labels.toSorted((one, other) => count(one) - count(other));
    const found = rarest === undefined ? table.ordered(from, prefix) : table.labelled(...rarest, from, prefix);
    for (const row of found) {
      if (after !== undefined && table.name(row) === place) continue;
      yield new RowDocument(rows, row);
    }
  }

  onNode(kind: OutlinedKind, nodeId: string, project?: string, after?: Key): readonly StoredDocument[] {
    const rows = this.#rowsOf(kind);
    const prefix = project === undefined ? "" : projectPrefix(project);
    const place = after === undefined ? "" : nameKey(kind, after);
    return Array.from(rows.table.onNode(nodeId), (row) => ({ row, name: rows.table.name(row) }))
      .filter(({ name }) => name.startsWith(prefix) && name > place)
      .sort((one, other) => (one.name < other.name ? -1 : 1))
      .map(({ row }) => new RowDocument(rows, row));
  }

  idsOnNode(kind: OutlinedKind, nodeId: string): string[] {
    const { table } = this.#rowsOf(kind);
    return Array.from(table.onNode(nodeId), (row) => table.id(row)).sort();
  }

  apply(event: ChangeEvent): void {
    if (event.type === "deleted") this.#remove(event.object);
    else {
      const { object, json } = event;
      this.#rowsOf(event.kind).cache.set(this.#put(object, json), object, json.length);
    }
    this.#revision = event.revision;
  }

  /** Gives an object that is there another form; it stays at its revision. */
  reform(object: StoredObject, json: string): void {
    this.#put(object, json);
  }

  /** For what loads or visits it. */
  table(kind: KindName): Table {
    return this.#rowsOf(kind).table;
  }

  #put(object: StoredObject, body: string): number {
    const { kind, metadata } = object;
    const { id, revision } = metadata;
    return this.#rowsOf(kind).table.put({ id, name: nameKey(kind, metadata), revision, body, facts: factsOf(object) });
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

/** Perhaps not frozen, and not remembered. */
function looseObjectAt({ table, cache }: KindRows, row: number): StoredObject {
  return cache.peek(row) ?? (JSON.parse(table.text(row)) as StoredObject);
}

function keyOf(nameKey: string): Key {
  const space = nameKey.indexOf(" ");
  return { project: space <= 0 ? undefined : nameKey.slice(0, space), name: nameKey.slice(space + 1) };
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
    return keyOf(this.#rows.table.name(this.#row));
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
