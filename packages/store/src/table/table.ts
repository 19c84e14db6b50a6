import { HashIndex, hashOf } from "./hash-index.ts";
import { OrderedRows } from "./ordered-rows.ts";
import { Slabs } from "./slabs.ts";

/** One object as a table takes it. */
export interface Entry {
  readonly id: string;
  /** Unique in the table as well; rows are listed in its order, byte by byte. */
  readonly name: string;
  readonly revision: number;
  /** JSON. */
  readonly body: string;
  /** The node that it is assigned to; "" for none. */
  readonly node: string;
}

/** Lengths of id and name, 2 bytes each, then both, then the body. */
const headerBytes = 4;
/** How many rows are looked at, after each write, for one that lies in a sparse slab. */
const sweepRows = 8;

/** A key as bytes. One is enough: a key is used before the next is written. */
class KeyBytes {
  bytes = Buffer.allocUnsafe(4096);
  length = 0;

  set(text: string): void {
    if (text.length * 3 > this.bytes.length) this.bytes = Buffer.allocUnsafe(text.length * 3);
    this.length = this.bytes.write(text);
  }

  get hash(): number {
    return hashOf(this.bytes, 0, this.length);
  }
}

/**
 * Objects of one kind as bodies in slabs and hot fields in columns: about 70 bytes a row beside the record itself, none of it on
 * the heap. Rows are numbers that stay an object's own until it is deleted; all bytes given out are good until the next change.
 */
export class Table {
  readonly #slabs = new Slabs();
  #slab = new Int32Array(64);
  #offset = new Uint32Array(64);
  #bytes = new Uint32Array(64);
  #revision = new Float64Array(64);
  #node = new Int32Array(64);
  #idHash = new Uint32Array(64);
  #nameHash = new Uint32Array(64);
  readonly #byId = new HashIndex((row) => this.#idHash[row] ?? 0);
  readonly #byName = new HashIndex((row) => this.#nameHash[row] ?? 0);
  readonly #ordered = new OrderedRows();
  readonly #freeRows: number[] = [];
  #rows = 0;
  #size = 0;
  #sweep = 0;
  readonly #key = new KeyBytes();
  readonly #nodes: string[] = [""];
  readonly #nodeNumbers = new Map<string, number>([["", 0]]);

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
    return this.#byId.find(this.#key.hash, (row) => this.#compareId(row) === 0);
  }

  /** -1 where there is none. */
  rowOfName(name: string): number {
    this.#key.set(name);
    return this.#byName.find(this.#key.hash, (row) => this.#compareName(row) === 0);
  }

  /** Creates or replaces the object with this id; no other may have its name. Returns its row. */
  put(entry: Entry): number {
    const { id, name, revision, body, node } = entry;
    const known = this.rowOfId(id);
    if (known !== -1 && this.name(known) !== name) this.#unname(known);
    const isNamed = known !== -1 && this.rowOfName(name) === known;
    const row = known === -1 ? this.#newRow() : known;
    if (known !== -1) this.#slabs.release(this.#slab[row] ?? 0, this.#bytes[row] ?? 0);
    this.#write(row, id, name, body);
    this.#revision[row] = revision;
    this.#node[row] = this.#nodeNumber(node);
    if (known === -1) {
      this.#key.set(id);
      this.#idHash[row] = this.#key.hash;
      this.#byId.add(row);
      this.#size++;
    }
    if (!isNamed) {
      this.#key.set(name);
      this.#nameHash[row] = this.#key.hash;
      this.#byName.add(row);
      this.#ordered.insert(row, this.#compareName);
    }
    this.#moveSparse();
    return row;
  }

  delete(row: number): void {
    this.#unname(row);
    this.#byId.remove(row);
    this.#slabs.release(this.#slab[row] ?? 0, this.#bytes[row] ?? 0);
    this.#slab[row] = -1;
    this.#freeRows.push(row);
    this.#size--;
    this.#moveSparse();
  }

  revision(row: number): number {
    return this.#revision[row] ?? 0;
  }

  node(row: number): string {
    return this.#nodes[this.#node[row] ?? 0] ?? "";
  }

  id(row: number): string {
    const [buffer, start] = this.#at(row);
    return buffer.toString("utf8", start + headerBytes, start + headerBytes + buffer.readUInt16LE(start));
  }

  name(row: number): string {
    const [buffer, start] = this.#at(row);
    const from = start + headerBytes + buffer.readUInt16LE(start);
    return buffer.toString("utf8", from, from + buffer.readUInt16LE(start + 2));
  }

  /** The body, shared with the slab. */
  body(row: number): Buffer {
    const [buffer, start] = this.#at(row);
    return buffer.subarray(this.#bodyStart(buffer, start), start + (this.#bytes[row] ?? 0));
  }

  bodyBytes(row: number): number {
    const [buffer, start] = this.#at(row);
    return start + (this.#bytes[row] ?? 0) - this.#bodyStart(buffer, start);
  }

  text(row: number): string {
    const [buffer, start] = this.#at(row);
    return buffer.toString("utf8", this.#bodyStart(buffer, start), start + (this.#bytes[row] ?? 0));
  }

  /** Rows in order of their names from the first that is not below `name`, and only while names begin with `prefix`. */
  *ordered(name = "", prefix = ""): Generator<number, void, void> {
    this.#key.set(name);
    const wanted = Buffer.from(prefix);
    for (const row of this.#ordered.from(this.#compareName)) {
      if (wanted.length > 0 && !this.#hasPrefix(row, wanted)) return;
      yield row;
    }
  }

  #at(row: number): readonly [Buffer, number] {
    return [this.#slabs.buffer(this.#slab[row] ?? -1), this.#offset[row] ?? 0];
  }

  #bodyStart(buffer: Buffer, start: number): number {
    return start + headerBytes + buffer.readUInt16LE(start) + buffer.readUInt16LE(start + 2);
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
    this.#slab[row] = slab;
    this.#offset[row] = offset;
    this.#bytes[row] = bytes;
  }

  /** Compaction, a little with each change: a record in a sparse slab is copied to where new ones are written. */
  #moveSparse(): void {
    for (let count = 0; count < sweepRows; count++) {
      this.#sweep = this.#sweep + 1 >= this.#rows ? 0 : this.#sweep + 1;
      const row = this.#sweep;
      const slab = this.#slab[row] ?? -1;
      if (slab === -1 || !this.#slabs.isSparse(slab)) continue;
      const [from, start] = this.#at(row);
      const bytes = this.#bytes[row] ?? 0;
      const place = this.#slabs.reserve(bytes);
      from.copy(this.#slabs.buffer(place.slab), place.offset, start, start + bytes);
      this.#slabs.release(slab, bytes);
      this.#slab[row] = place.slab;
      this.#offset[row] = place.offset;
    }
  }

  #unname(row: number): void {
    this.#key.set(this.name(row));
    this.#ordered.remove(row, this.#compareName);
    this.#byName.remove(row);
  }

  #newRow(): number {
    const row = this.#freeRows.pop() ?? this.#rows++;
    if (row >= this.#slab.length) this.#growColumns();
    return row;
  }

  #growColumns(): void {
    const length = this.#slab.length * 2;
    this.#slab = grown(this.#slab, new Int32Array(length));
    this.#offset = grown(this.#offset, new Uint32Array(length));
    this.#bytes = grown(this.#bytes, new Uint32Array(length));
    this.#revision = grown(this.#revision, new Float64Array(length));
    this.#node = grown(this.#node, new Int32Array(length));
    this.#idHash = grown(this.#idHash, new Uint32Array(length));
    this.#nameHash = grown(this.#nameHash, new Uint32Array(length));
  }

  #nodeNumber(node: string): number {
    const known = this.#nodeNumbers.get(node);
    if (known !== undefined) return known;
    this.#nodeNumbers.set(node, this.#nodes.push(node) - 1);
    return this.#nodes.length - 1;
  }

  #compareId(row: number): number {
    const [buffer, start] = this.#at(row);
    const from = start + headerBytes;
    return compareBytes(this.#key.bytes, this.#key.length, buffer, from, from + buffer.readUInt16LE(start));
  }

  /** Of the key with the row's name. */
  readonly #compareName = (row: number): number => {
    const [buffer, start] = this.#at(row);
    const from = start + headerBytes + buffer.readUInt16LE(start);
    return compareBytes(this.#key.bytes, this.#key.length, buffer, from, from + buffer.readUInt16LE(start + 2));
  };

  #hasPrefix(row: number, prefix: Buffer): boolean {
    const [buffer, start] = this.#at(row);
    const from = start + headerBytes + buffer.readUInt16LE(start);
    const end = from + Math.min(buffer.readUInt16LE(start + 2), prefix.length);
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

function grown<T extends Int32Array | Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
