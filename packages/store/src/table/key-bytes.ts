import { hashOf } from "./hash-index.ts";

/** A key as bytes. One is enough: a key is used before the next is written. */
export class KeyBytes {
  bytes = Buffer.allocUnsafe(4096);
  length = 0;

  set(text: string): void {
    if (text.length * 3 > this.bytes.length) this.bytes = Buffer.allocUnsafe(text.length * 3);
    this.length = this.bytes.write(text);
  }

  copy(from: Buffer, start: number, end: number): void {
    this.length = end - start;
    if (this.length > this.bytes.length) this.bytes = Buffer.allocUnsafe(this.length);
    for (let at = 0; at < this.length; at++) this.bytes[at] = from[start + at] ?? 0;
  }

  get hash(): number {
    return hashOf(this.bytes, 0, this.length);
  }
}
