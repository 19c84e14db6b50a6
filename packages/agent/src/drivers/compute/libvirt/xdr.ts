/*
 * XDR (RFC 4506), as far as libvirt's messages need it: big-endian, everything padded to four bytes.
 */

/** Writes values one after another. */
export class XdrWriter {
  readonly #parts: Buffer[] = [];

  int(value: number): this {
    const part = Buffer.alloc(4);
    part.writeInt32BE(value);
    this.#parts.push(part);
    return this;
  }

  uint(value: number): this {
    const part = Buffer.alloc(4);
    part.writeUInt32BE(value);
    this.#parts.push(part);
    return this;
  }

  string(value: string): this {
    const bytes = Buffer.from(value, "utf8");
    this.uint(bytes.length).fixed(bytes);
    return this;
  }

  /** A pointer: a flag, and the string where there is one. */
  optionalString(value: string | undefined): this {
    return value === undefined ? this.uint(0) : this.uint(1).string(value);
  }

  /** Bytes whose number both sides know. */
  fixed(bytes: Uint8Array): this {
    this.#parts.push(Buffer.from(bytes), Buffer.alloc(padding(bytes.length)));
    return this;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** Reads values one after another; a read beyond the end throws a RangeError, so that no length is taken on trust. */
export class XdrReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  int(): number {
    return this.#take(4).readInt32BE();
  }

  uint(): number {
    return this.#take(4).readUInt32BE();
  }

  hyper(): bigint {
    return this.#take(8).readBigInt64BE();
  }

  unsignedHyper(): bigint {
    return this.#take(8).readBigUInt64BE();
  }

  double(): number {
    return this.#take(8).readDoubleBE();
  }

  fixed(length: number): Buffer {
    const bytes = this.#take(length);
    this.#take(padding(length));
    return bytes;
  }

  string(): string {
    return this.fixed(this.uint()).toString("utf8");
  }

  optional<T>(read: (reader: XdrReader) => T): T | undefined {
    return this.uint() === 0 ? undefined : read(this);
  }

  list<T>(read: (reader: XdrReader) => T): T[] {
    const length = this.uint();
    const values: T[] = [];
    for (let index = 0; index < length; index++) values.push(read(this));
    return values;
  }

  #take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new RangeError("the message ends too early");
    const part = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return part;
  }
}

function padding(length: number): number {
  return (4 - (length % 4)) % 4;
}
