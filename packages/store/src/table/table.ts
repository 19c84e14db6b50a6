import type { Facts } from "../outline.ts";
import { Columns } from "./columns.ts";
import { HashIndex } from "./hash-index.ts";
import { KeyBytes } from "./key-bytes.ts";
import { LabelIndex } from "./label-index.ts";
import { NameSort } from "./name-sort.ts";
import { OrderedRows } from "./ordered-rows.ts";
import { headerBytes, shortAt } from "./page.ts";
import { RowGroups } from "./row-groups.ts";
import { Slabs } from "./slabs.ts";
import { Words } from "./words.ts";

/** One object as a table takes it. */
export interface Entry {
  readonly id: string;
  /** Unique in the table as well; rows are listed in its order, byte by byte. */
  readonly name: string;
  readonly revision: number;
  /** JSON. */
  readonly body: string;
  readonly facts: Facts;
}

/** Where a page holds one object's record. */
export interface LoadedRow {
  readonly offset: number;
  readonly end: number;
  readonly revision: number;
}

/** How many rows are looked at, after each write, for one that lies in a sparse slab. */
const sweepRows = 8;

/**
 * Objects of one kind as bodies in slabs and hot fields in columns: about 100 bytes a row beside the record itself, none of it on
 * the heap. Rows are numbers that stay an object's own until it is deleted; all bytes given out are good until the next change.
 */
export class Table {
  readonly #slabs = new Slabs();
  readonly #columns = new Columns();
  readonly #byId = new HashIndex((row) => this.#columns.idHash[row] ?? 0);
  readonly #byName = new HashIndex((row) => this.#columns.nameHash[row] ?? 0);
  readonly #ordered = new OrderedRows();
  readonly #labels = new LabelIndex();
  readonly #onNode = new RowGroups();
  readonly #freeRows: number[] = [];
  #rows = 0;
  #size = 0;
  #sweep = 0;
  readonly #key = new KeyBytes();
  readonly #nodes = new Words();
  readonly #networks = new Words();
  /** While rows are loaded, which are put in order at the end. */
  #loading: NameSort | undefined;

  get size(): number {
    return this.#size;
  }

  /** Bytes of all slabs, and of the records in them. */
  get memory(): { readonly heldBytes: number; readonly liveBytes: number } {
    const { heldBytes, liveBytes } = this.#slabs;
    return { heldBytes, liveBytes };
  }

  /** -1 where there is none. */
  rowOfId(id: string): number {
    this.#key.set(id);
    return this.#byId.find(this.#key.hash, this.#hasKeyAsId);
  }

  /** -1 where there is none. */
  rowOfName(name: string): number {
    this.#key.set(name);
    return this.#byName.find(this.#key.hash, this.#hasKeyAsName);
  }

  /** The row that is named as another table's; -1 where none is. */
  rowNamedAs(other: Table, row: number): number {
    const [buffer, start] = other.#at(row);
    const from = start + headerBytes + shortAt(buffer, start);
    this.#key.copy(buffer, from, from + shortAt(buffer, start + 2));
    return this.#byName.find(other.#columns.nameHash[row] ?? 0, this.#hasKeyAsName);
  }

  /** Creates or replaces the object with this id; no other may have its name. Returns its row. */
  put(entry: Entry): number {
    const { id, name, revision, body, facts } = entry;
    const columns = this.#columns;
    const known = this.rowOfId(id);
    const row = known === -1 ? this.#newRow() : known;
    const labels = this.#labels.hold(facts.labels);
    const isNamed = known !== -1 && this.name(known) === name;
    if (known !== -1) {
      if (!isNamed) this.#unname(known);
      else if (columns.labels[row] !== labels) this.#unlabel(row);
      this.#let(row);
    }
    const isLabelled = isNamed && columns.labels[row] === labels;
    this.#write(row, id, name, body);
    this.#describe(row, revision, labels, facts);
    if (known === -1) {
      this.#key.set(id);
      columns.idHash[row] = this.#key.hash;
      this.#byId.add(row);
      this.#size++;
    }
    this.#key.set(name);
    if (!isNamed) {
      columns.nameHash[row] = this.#key.hash;
      this.#byName.add(row);
      this.#ordered.insert(row, this.#compareName);
    }
    if (!isLabelled) this.#labels.insert(labels, row, this.#compareName);
    this.#moveSparse();
    return row;
  }

  delete(row: number): void {
    const columns = this.#columns;
    this.#unname(row);
    this.#byId.remove(row);
    this.#let(row);
    columns.slab[row] = -1;
    this.#freeRows.push(row);
    this.#size--;
    this.#moveSparse();
  }

  /** Takes a page of records over, whose rows `load` then tells; nothing may be listed until `endLoading`. */
  beginPage(page: Buffer): number {
    this.#loading ??= new NameSort();
    return this.#slabs.adopt(page);
  }

  /** Returns the row; where another has its id or name already, -1 less that one's. */
  load(slab: number, { offset, end, revision }: LoadedRow, facts: Facts): number {
    const page = this.#slabs.buffer(slab);
    const columns = this.#columns;
    const idStart = offset + headerBytes;
    const nameStart = idStart + shortAt(page, offset);
    const nameEnd = nameStart + shortAt(page, offset + 2);
    this.#key.copy(page, idStart, nameStart);
    const idHash = this.#key.hash;
    const twin = this.#byId.find(idHash, this.#hasKeyAsId);
    if (twin !== -1) return -1 - twin;
    this.#key.copy(page, nameStart, nameEnd);
    const nameHash = this.#key.hash;
    const holder = this.#byName.find(nameHash, this.#hasKeyAsName);
    if (holder !== -1) return -1 - holder;
    const row = this.#newRow();
    columns.slab[row] = slab;
    columns.offset[row] = offset;
    columns.bytes[row] = end - offset;
    columns.idHash[row] = idHash;
    columns.nameHash[row] = nameHash;
    this.#byId.add(row);
    this.#byName.add(row);
    this.#describe(row, revision, this.#labels.hold(facts.labels), facts);
    this.#loading?.add(row, page, nameStart, nameEnd);
    this.#size++;
    return row;
  }

  /** Puts what was loaded in order; only for a table that had nothing before. */
  endLoading(): void {
    for (const row of this.#loading?.sorted() ?? []) {
      this.#ordered.append(row);
      this.#labels.append(this.#columns.labels[row] ?? 0, row);
    }
    this.#loading = undefined;
  }

  revision(row: number): number {
    return this.#columns.revision[row] ?? 0;
  }

  node(row: number): string {
    return this.#nodes.word(this.#columns.node[row] ?? 0);
  }

  /** Rows of objects on a node, in no order; good until the next change. */
  onNode(node: string): Int32Array {
    const number = this.#nodes.find(node);
    return number === undefined ? new Int32Array(0) : this.#onNode.rows(number);
  }

  /** See `Facts.isPlain`. */
  isPlain(row: number): boolean {
    return this.#columns.isPlain[row] === 1;
  }

  amount(row: number): number {
    return this.#columns.amount[row] ?? 0;
  }

  secondAmount(row: number): number {
    return this.#columns.secondAmount[row] ?? 0;
  }

  network(row: number): string {
    return this.#networks.word(this.#columns.network[row] ?? 0);
  }

  address(row: number): number {
    return this.#columns.address[row] ?? 0;
  }

  id(row: number): string {
    const [buffer, start] = this.#at(row);
    return buffer.toString("utf8", start + headerBytes, start + headerBytes + shortAt(buffer, start));
  }

  name(row: number): string {
    const [buffer, start] = this.#at(row);
    const nameStart = start + headerBytes + shortAt(buffer, start);
    return buffer.toString("utf8", nameStart, nameStart + shortAt(buffer, start + 2));
  }

  /** Whether a row's name begins so; only for what is ASCII. */
  hasPrefix(row: number, prefix: string): boolean {
    const [buffer, start] = this.#at(row);
    const from = start + headerBytes + shortAt(buffer, start);
    if (prefix.length === 0 || prefix.length > shortAt(buffer, start + 2)) return false;
    for (let at = 0; at < prefix.length; at++) if (buffer[from + at] !== prefix.charCodeAt(at)) return false;
    return true;
  }

  /** The body, shared with the slab. */
  body(row: number): Buffer {
    const [buffer, start] = this.#at(row);
    return buffer.subarray(this.#bodyStart(buffer, start), start + (this.#columns.bytes[row] ?? 0));
  }

  bodyBytes(row: number): number {
    const [buffer, start] = this.#at(row);
    return start + (this.#columns.bytes[row] ?? 0) - this.#bodyStart(buffer, start);
  }

  text(row: number): string {
    const [buffer, start] = this.#at(row);
    return buffer.toString("utf8", this.#bodyStart(buffer, start), start + (this.#columns.bytes[row] ?? 0));
  }

  /** Rows in order of their names from the first that is not below `name`, and only while names begin with `prefix`. */
  ordered(name = "", prefix = ""): Generator<number, void, void> {
    return this.#from(this.#ordered, name, prefix);
  }

  /** All of them, for what must be fast. */
  eachOrdered(visit: (row: number) => void): void {
    this.#ordered.each(visit);
  }

  /** As `ordered`, only of rows with this label. */
  labelled(key: string, value: string, name = "", prefix = ""): Generator<number, void, void> {
    return this.#from(this.#labels.rows(key, value), name, prefix);
  }

  /** How many rows have this label. */
  countLabelled(key: string, value: string): number {
    return this.#labels.rows(key, value)?.size ?? 0;
  }

  *#from(rows: OrderedRows | undefined, name: string, prefix: string): Generator<number, void, void> {
    if (rows === undefined) return;
    this.#key.set(name);
    const wanted = Buffer.from(prefix);
    for (const row of rows.from(this.#compareName)) {
      if (wanted.length > 0 && !this.#hasPrefix(row, wanted)) return;
      yield row;
    }
  }

  #at(row: number): readonly [Buffer, number] {
    return [this.#slabs.buffer(this.#columns.slab[row] ?? -1), this.#columns.offset[row] ?? 0];
  }

  #bodyStart(buffer: Buffer, start: number): number {
    return start + headerBytes + shortAt(buffer, start) + shortAt(buffer, start + 2);
  }

  #write(row: number, id: string, name: string, body: string): void {
    const idBytes = Buffer.byteLength(id);
    const nameBytes = Buffer.byteLength(name);
    const bytes = headerBytes + idBytes + nameBytes + Buffer.byteLength(body);
    const { slab, offset } = this.#slabs.reserve(bytes);
    const buffer = this.#slabs.buffer(slab);
    let at = buffer.writeUInt16LE(idBytes, offset);
    at = buffer.writeUInt16LE(nameBytes, at);
    at += buffer.write(id, at);
    at += buffer.write(name, at);
    buffer.write(body, at);
    this.#columns.slab[row] = slab;
    this.#columns.offset[row] = offset;
    this.#columns.bytes[row] = bytes;
  }

  /** Compaction, a little with each change: a record in a sparse slab is copied to where new ones are written. */
  #moveSparse(): void {
    for (let count = 0; count < sweepRows; count++) {
      this.#sweep = this.#sweep + 1 >= this.#rows ? 0 : this.#sweep + 1;
      const row = this.#sweep;
      const slab = this.#columns.slab[row] ?? -1;
      if (slab === -1 || !this.#slabs.isSparse(slab)) continue;
      const [from, start] = this.#at(row);
      const bytes = this.#columns.bytes[row] ?? 0;
      const place = this.#slabs.reserve(bytes);
      from.copy(this.#slabs.buffer(place.slab), place.offset, start, start + bytes);
      this.#slabs.release(slab, bytes);
      this.#columns.slab[row] = place.slab;
      this.#columns.offset[row] = place.offset;
    }
  }

  #describe(row: number, revision: number, labels: number, facts: Facts): void {
    const columns = this.#columns;
    columns.revision[row] = revision;
    columns.labels[row] = labels;
    columns.isPlain[row] = facts.isPlain ? 1 : 0;
    columns.amount[row] = facts.amount;
    columns.secondAmount[row] = facts.secondAmount;
    columns.network[row] = this.#networks.hold(facts.network);
    columns.address[row] = facts.address;
    const node = this.#nodes.hold(facts.node);
    columns.node[row] = node;
    this.#onNode.add(node, row);
  }

  /** Lets go of what a row's columns share with others, before they say something else. */
  #let(row: number): void {
    const columns = this.#columns;
    const node = columns.node[row] ?? 0;
    this.#onNode.remove(node, row);
    this.#nodes.release(node);
    this.#networks.release(columns.network[row] ?? 0);
    this.#labels.release(columns.labels[row] ?? 0);
    this.#slabs.release(columns.slab[row] ?? 0, columns.bytes[row] ?? 0);
  }

  #unname(row: number): void {
    this.#unlabel(row);
    this.#ordered.remove(row, this.#compareName);
    this.#byName.remove(row);
  }

  #unlabel(row: number): void {
    this.#key.set(this.name(row));
    this.#labels.remove(this.#columns.labels[row] ?? 0, row, this.#compareName);
  }

  #newRow(): number {
    const row = this.#freeRows.pop() ?? this.#rows++;
    this.#columns.grow(row + 1);
    return row;
  }

  #compareId(row: number): number {
    const [buffer, start] = this.#at(row);
    const from = start + headerBytes;
    return compareBytes(this.#key.bytes, this.#key.length, buffer, from, from + shortAt(buffer, start));
  }

  readonly #hasKeyAsId = (row: number): boolean => this.#compareId(row) === 0;
  readonly #hasKeyAsName = (row: number): boolean => this.#compareName(row) === 0;

  /** Of the key with the row's name. */
  readonly #compareName = (row: number): number => {
    const [buffer, start] = this.#at(row);
    const from = start + headerBytes + shortAt(buffer, start);
    return compareBytes(this.#key.bytes, this.#key.length, buffer, from, from + shortAt(buffer, start + 2));
  };

  #hasPrefix(row: number, prefix: Buffer): boolean {
    const [buffer, start] = this.#at(row);
    const from = start + headerBytes + shortAt(buffer, start);
    const end = from + Math.min(shortAt(buffer, start + 2), prefix.length);
    return compareBytes(prefix, prefix.length, buffer, from, end) === 0;
  }
}

function compareBytes(key: Buffer, keyLength: number, other: Buffer, start: number, end: number): number {
  const common = Math.min(keyLength, end - start);
  for (let at = 0; at < common; at++) {
    const difference = (key[at] ?? 0) - (other[start + at] ?? 0);
    if (difference !== 0) return difference;
  }
  return keyLength - (end - start);
}
