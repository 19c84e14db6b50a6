import { offeredBy } from "../candidate.ts";
import type { Candidate } from "../candidate.ts";
import { slotsPerBlock } from "./columns.ts";

/** Which slots are free, and which of them lies beside nodes that are like a new one: bounds of blocks of like nodes are tight. */
export class SlotFinder {
  readonly #slots: number;
  #used: number;
  readonly #returned: number[];
  /** Blocks with room that were begun for nodes like these, since the first ones were laid out. */
  readonly #begun: Map<string, { next: number; readonly end: number }>;

  /** @param like which it is a copy of */
  constructor(slots: number, like?: SlotFinder) {
    this.#slots = slots;
    this.#used = like === undefined ? 0 : like.#used;
    this.#returned = like === undefined ? [] : [...like.#returned];
    const begun = like === undefined ? [] : [...like.#begun];
    this.#begun = new Map(begun.map(([key, block]) => [key, { ...block }]));
  }

  /** For laying out many: those of one size in a row, of these those of one country, tier, provider and site. */
  inOrder(nodes: readonly Candidate[]): readonly Candidate[] {
    const keyed = nodes.map((node) => {
      const { country, tier, provider, site, name } = node;
      return { node, group: `${likeness(node)}\n${country}\n${tier}\n${provider}\n${site}`, name };
    });
    keyed.sort((a, b) => bySize(a.node, b.node) || compare(a.group, b.group) || compare(a.name, b.name));
    return keyed.map(({ node }) => node);
  }

  /** The next one, of those that are laid out in order. */
  next(): number {
    return this.#used++;
  }

  /** For one more: beside others like it where there is room. Undefined where all are taken. */
  take(node: Candidate): number | undefined {
    const { vcpus, memoryMiB } = offeredBy(node);
    const key = `${vcpus}\n${memoryMiB}\n${node.country}\n${node.tier}\n${likeness(node)}`;
    let block = this.#begun.get(key);
    if (block === undefined || block.next === block.end) {
      const first = Math.ceil(this.#used / slotsPerBlock) * slotsPerBlock;
      if (first >= this.#slots)
        return this.#returned.pop() ?? (this.#used < this.#slots ? this.#used++ : this.#leftover());
      block = { next: first, end: Math.min(first + slotsPerBlock, this.#slots) };
      this.#used = block.end;
      this.#begun.set(key, block);
    }
    return block.next++;
  }

  giveBack(slot: number): void {
    this.#returned.push(slot);
  }

  /** Of blocks that were begun for others. */
  #leftover(): number | undefined {
    for (const block of this.#begun.values()) if (block.next < block.end) return block.next++;
    return undefined;
  }
}

/** Nodes with special hardware or closed to most lie apart, so that others' blocks needn't be looked at for it. */
function likeness({ architecture, spare, taints }: Candidate): string {
  const devices = Object.keys(spare?.devices ?? {}).sort();
  return `${architecture} ${devices.join(" ")} ${taints?.join(" ") ?? ""}`;
}

/** What a request adds to the use of a node depends on its size. */
function bySize(one: Candidate, other: Candidate): number {
  const [a, b] = [offeredBy(one), offeredBy(other)];
  return a.vcpus - b.vcpus || a.memoryMiB - b.memoryMiB;
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
