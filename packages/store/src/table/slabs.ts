/** Small enough that compaction frees memory soon, large enough that a million records need few. */
const slabBytes = 1024 * 1024;

/** Where a record lies. */
export interface Place {
  readonly slab: number;
  readonly offset: number;
}

/**
 * Records in large buffers outside the heap, where the garbage collector does not look at each. A record never moves by itself;
 * its owner releases it, or writes it anew elsewhere when its slab has become sparse.
 */
export class Slabs {
  readonly #buffers: (Buffer | undefined)[] = [];
  /** By slab: bytes of records that were not released. */
  readonly #live: number[] = [];
  /** Slabs without a buffer, to be given out again. */
  readonly #free: number[] = [];
  #spare: Buffer | undefined;
  #current = -1;
  #used = 0;
  #liveBytes = 0;
  #heldBytes = 0;

  /** Bytes of all records. */
  get liveBytes(): number {
    return this.#liveBytes;
  }

  /** Bytes of all buffers. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** The buffer that a record lies in; good until the record is released. */
  buffer(slab: number): Buffer {
    const buffer = this.#buffers[slab];
    if (buffer === undefined) throw new Error(`slab ${slab} is gone`);
    return buffer;
  }

  /** Room for a record, to be filled at once. */
  reserve(bytes: number): Place {
    const current = this.#buffers[this.#current];
    if (bytes > slabBytes / 4 && (current === undefined || this.#used + bytes > current.length)) {
      const slab = this.#add(Buffer.allocUnsafeSlow(bytes));
      this.#count(slab, bytes);
      return { slab, offset: 0 };
    }
    if (current === undefined || this.#used + bytes > current.length) {
      const sealed = this.#current;
      this.#current = this.#add(this.#spare ?? Buffer.allocUnsafeSlow(slabBytes));
      this.#spare = undefined;
      this.#used = 0;
      if (sealed !== -1 && this.#live[sealed] === 0) this.#drop(sealed);
    }
    const place = { slab: this.#current, offset: this.#used };
    this.#used += bytes;
    this.#count(place.slab, bytes);
    return place;
  }

  /** Takes a buffer over that is full of records. */
  adopt(buffer: Buffer): number {
    const slab = this.#add(buffer);
    this.#count(slab, buffer.length);
    return slab;
  }

  release(slab: number, bytes: number): void {
    this.#count(slab, -bytes);
    if (this.#live[slab] === 0 && slab !== this.#current) this.#drop(slab);
  }

  /** Whether less than two thirds of a slab is still of use, so that its records had better move. */
  isSparse(slab: number): boolean {
    const buffer = this.#buffers[slab];
    return buffer !== undefined && slab !== this.#current && (this.#live[slab] ?? 0) * 3 < buffer.length * 2;
  }

  #count(slab: number, bytes: number): void {
    this.#live[slab] = (this.#live[slab] ?? 0) + bytes;
    this.#liveBytes += bytes;
  }

  #add(buffer: Buffer): number {
    const slab = this.#free.pop() ?? this.#buffers.length;
    this.#buffers[slab] = buffer;
    this.#live[slab] = 0;
    this.#heldBytes += buffer.length;
    return slab;
  }

  #drop(slab: number): void {
    const buffer = this.#buffers[slab];
    if (buffer === undefined) return;
    this.#buffers[slab] = undefined;
    this.#free.push(slab);
    this.#heldBytes -= buffer.length;
    if (buffer.length === slabBytes) this.#spare ??= buffer;
  }
}
