import { grown } from "./typed-arrays.ts";

/** What is known of each row beside its record: 61 bytes a row, none of them on the heap. */
export class Columns {
  /** -1 where there is no row. */
  slab = new Int32Array(64);
  offset = new Uint32Array(64);
  bytes = new Uint32Array(64);
  revision = new Float64Array(64);
  node = new Int32Array(64);
  labels = new Int32Array(64);
  idHash = new Uint32Array(64);
  nameHash = new Uint32Array(64);
  isPlain = new Uint8Array(64);
  amount = new Float64Array(64);
  secondAmount = new Float64Array(64);
  network = new Int32Array(64);
  address = new Uint32Array(64);

  grow(rows: number): void {
    if (rows <= this.slab.length) return;
    let length = this.slab.length;
    while (length < rows) length *= 2;
    this.slab = grown(this.slab, new Int32Array(length));
    this.offset = grown(this.offset, new Uint32Array(length));
    this.bytes = grown(this.bytes, new Uint32Array(length));
    this.revision = grown(this.revision, new Float64Array(length));
    this.node = grown(this.node, new Int32Array(length));
    this.labels = grown(this.labels, new Int32Array(length));
    this.idHash = grown(this.idHash, new Uint32Array(length));
    this.nameHash = grown(this.nameHash, new Uint32Array(length));
    this.isPlain = grown(this.isPlain, new Uint8Array(length));
    this.amount = grown(this.amount, new Float64Array(length));
    this.secondAmount = grown(this.secondAmount, new Float64Array(length));
    this.network = grown(this.network, new Int32Array(length));
    this.address = grown(this.address, new Uint32Array(length));
  }
}
