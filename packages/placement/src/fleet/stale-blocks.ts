import { refreshBlock, refreshLoad } from "./bounds.ts";
import type { Columns } from "./columns.ts";
import type { Words } from "./words.ts";

/** Blocks whose bounds do not tell yet what has changed in them. */
export class StaleBlocks {
  readonly #blocks = new Map<number, "load" | "all">();

  add(block: number, change: "load" | "all"): void {
    if (change === "all" || !this.#blocks.has(block)) this.#blocks.set(block, change);
  }

  clear(): void {
    this.#blocks.clear();
  }

  mend(columns: Columns, words: Words): void {
    for (const [block, change] of this.#blocks) {
      if (change === "load") refreshLoad(columns, block);
      else refreshBlock(columns, words, block);
    }
    this.#blocks.clear();
  }
}
