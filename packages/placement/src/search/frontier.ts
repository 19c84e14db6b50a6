/** Rows that are still to be looked into, the one that promises most first: a binary heap in columns. */
export class Frontier {
  #costs = new Float64Array(256);
  #ranks = new Float64Array(256);
  #rows = new Int32Array(256);
  #size = 0;
  cost = 0;
  rank = 0;
  row = 0;

  clear(): void {
    this.#size = 0;
  }

  push(cost: number, rank: number, row: number): void {
    if (this.#size === this.#costs.length) this.#grow();
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(cost, rank, parent)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#set(at, cost, rank, row);
  }

  /** Takes the first out, into `cost`, `rank` and `row`; false where there is none. */
  pop(): boolean {
    if (this.#size === 0) return false;
    this.cost = this.#costs[0] as number;
    this.rank = this.#ranks[0] as number;
    this.row = this.#rows[0] as number;
    const last = --this.#size;
    const [cost, rank, row] = [this.#costs[last] as number, this.#ranks[last] as number, this.#rows[last] as number];
    let at = 0;
    for (let child = 1; child < last; child = 2 * at + 1) {
      const other = child + 1;
      if (other < last && this.#isBefore(this.#costs[other] as number, this.#ranks[other] as number, child))
        child = other;
      if (this.#isBefore(cost, rank, child)) break;
      this.#move(child, at);
      at = child;
    }
    this.#set(at, cost, rank, row);
    return true;
  }

  #isBefore(cost: number, rank: number, at: number): boolean {
    const other = this.#costs[at] as number;
    return cost < other || (cost === other && rank < (this.#ranks[at] as number));
  }

  #move(from: number, to: number): void {
    this.#set(to, this.#costs[from] as number, this.#ranks[from] as number, this.#rows[from] as number);
  }

  #set(at: number, cost: number, rank: number, row: number): void {
    this.#costs[at] = cost;
    this.#ranks[at] = rank;
    this.#rows[at] = row;
  }

  #grow(): void {
    const [costs, ranks, rows] = [this.#costs, this.#ranks, this.#rows];
    this.#costs = new Float64Array(2 * costs.length);
    this.#ranks = new Float64Array(2 * ranks.length);
    this.#rows = new Int32Array(2 * rows.length);
    this.#costs.set(costs);
    this.#ranks.set(ranks);
    this.#rows.set(rows);
  }
}
