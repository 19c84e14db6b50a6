import type { StoredObject } from "../object.ts";

/** Bytes of bodies in each of two generations. */
const generationBytes = 2 * 1024 * 1024;

/**
 * Objects that were read or written of late, by row, so that a body is not parsed at each read. Two generations: what is used
 * moves to the younger, and when that is full the elder is forgotten.
 */
export class ObjectCache {
  #young = new Map<number, StoredObject>();
  #old = new Map<number, StoredObject>();
  #youngBytes = 0;

  get(row: number, bytes: number): StoredObject | undefined {
    const young = this.#young.get(row);
    if (young !== undefined) return young;
    const old = this.#old.get(row);
    if (old !== undefined) this.set(row, old, bytes);
    return old;
  }

  /** What is there, without counting as use. */
  peek(row: number): StoredObject | undefined {
    return this.#young.get(row) ?? this.#old.get(row);
  }

  /** @param bytes of its body */
  set(row: number, object: StoredObject, bytes: number): void {
    if (this.#youngBytes + bytes > generationBytes) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngBytes = 0;
    }
    // A row that is written again and again counts each time, which only ends its generation sooner.
    this.#youngBytes += bytes;
    this.#young.set(row, object);
  }

  delete(row: number): void {
    this.#young.delete(row);
    this.#old.delete(row);
  }
}
