import { fact, factStride, integer, shiftOf } from "../fleet/columns.ts";
import type { Level } from "../fleet/columns.ts";
import { noRoom, useIfOpen } from "../fleet/size-table.ts";
import { costWith, impossible } from "./match.ts";
import type { Query } from "./query.ts";
import { rankFrom, rowCost, rowRank } from "./row-cost.ts";
import { nothingYet, visitBlock } from "./search.ts";
import type { Best } from "./search.ts";

const notLookedAt = -1;

/**
 * The blocks in the order of what they have for one query, kept from one decision to the next: a knock-out tournament, whose winner is
 * looked at until it is one that has been looked at. What a block is told to cost is never more than what its best node does: a node
 * that has changed lowers it where it is better now, and where it was the best one, its block will have to be looked at again.
 */
export class StandingOrder {
  readonly query: Query;
  readonly #blocks: Level;
  readonly #costs: Float64Array;
  readonly #ranks: Float64Array;
  readonly #slots: Int32Array;
  /** The winner below each place; the two below place p are at 2 p and 2 p + 1, and leaves begin at half its length. */
  readonly #winners: Int32Array;
  #changes: number;

  /** About 30 ns for each block. */
  constructor(query: Query) {
    this.query = query;
    this.#blocks = query.columns.levels[0] as Level;
    const { count } = this.#blocks;
    this.#costs = new Float64Array(count + 1).fill(impossible);
    this.#ranks = new Float64Array(count + 1).fill(impossible);
    this.#slots = new Int32Array(count + 1).fill(notLookedAt);
    const leaves = 2 ** Math.ceil(Math.log2(Math.max(2, count)));
    // Where there is no block, the one after the last stands, which nothing loses to.
    this.#winners = new Int32Array(2 * leaves).fill(count);
    for (let block = 0; block < count; block++) {
      this.#promise(block);
      this.#winners[leaves + block] = block;
    }
    for (let place = leaves - 1; place > 0; place--) this.#decide(place);
    this.#changes = query.fleet.changes;
  }

  /** Whether it can still be brought up to date. */
  get isKept(): boolean {
    return this.query.fleet.remembers(this.#changes);
  }

  /** About 20 ns for each change of the fleet since the last time, and a look at a block or two. */
  best(): Best {
    this.#catchUp();
    for (;;) {
      const block = integer(this.#winners, 1);
      const cost = this.#costs[block] as number;
      if (cost === impossible) return nothingYet();
      const slot = integer(this.#slots, block);
      if (slot !== notLookedAt) return { slot, cost, rank: this.#ranks[block] as number };
      const best = nothingYet();
      visitBlock(this.query, block, best);
      this.#set(block, best.cost, best.rank, best.slot);
      this.#replay(block);
    }
  }

  #catchUp(): void {
    const { query } = this;
    const { fleet } = query;
    for (; this.#changes < fleet.changes; this.#changes++) {
      const slot = fleet.changedAt(this.#changes);
      const block = slot >> shiftOf(0);
      const before = this.#costs[block] as number;
      const isBest = integer(this.#slots, block) === slot;
      const use = useIfOpen(query.columns, slot, query);
      // Most are no better, which their use alone tells.
      if (!isBest && (use === noRoom || query.spread * use + query.pack * (1 - use) > before)) continue;
      const cost = use === noRoom ? impossible : costWith(query, slot, use);
      const rank = rankFrom(query, integer(query.columns.facts, slot * factStride + fact.rank));
      const rankBefore = this.#ranks[block] as number;
      if (cost < before || (cost === before && rank < rankBefore)) {
        // All others cost as much as was told at least: it is the best one, whether the block was looked at or not.
        this.#set(block, cost, rank, slot);
        this.#replay(block);
      } else if (isBest && (cost !== before || rank !== rankBefore)) {
        this.#slots[block] = notLookedAt;
      }
    }
  }

  #promise(block: number): void {
    const cost = rowCost(this.query, this.#blocks, 0, block, impossible);
    this.#set(block, cost, rowRank(this.query, this.#blocks, block), notLookedAt);
  }

  #set(block: number, cost: number, rank: number, slot: number): void {
    this.#costs[block] = cost;
    this.#ranks[block] = rank;
    this.#slots[block] = slot;
  }

  #replay(block: number): void {
    for (let place = (this.#winners.length / 2 + block) >> 1; place > 0; place >>= 1) this.#decide(place);
  }

  #decide(place: number): void {
    const [one, other] = [integer(this.#winners, 2 * place), integer(this.#winners, 2 * place + 1)];
    const [cost, against] = [this.#costs[one] as number, this.#costs[other] as number];
    const isOther =
      against < cost || (against === cost && (this.#ranks[other] as number) < (this.#ranks[one] as number));
    this.#winners[place] = isOther ? other : one;
  }
}
