import type { NodeFleet } from "./fleet/fleet.ts";
import { Frontier } from "./search/frontier.ts";
import { Memo } from "./search/memo.ts";
import { makeQuery } from "./search/query.ts";
import type { Query } from "./search/query.ts";
import { countFitting, scan, search } from "./search/search.ts";
import type { Best } from "./search/search.ts";
import { Shapes } from "./search/shapes.ts";
import { StandingOrder } from "./search/standing-order.ts";
import type { PlacementRequest } from "./request.ts";

/** Chooses nodes of one fleet. */
export class Placer {
  readonly fleet: NodeFleet;
  readonly #frontier = new Frontier();
  readonly #memo = new Memo();
  readonly #shapes = new Shapes();

  constructor(fleet: NodeFleet) {
    this.fleet = fleet;
  }

  /**
   * The node that everything asked holds for and that costs least (see Weights), by rank where equal; its slot is -1 where none
   * fits. The same request, fleet and seed give the same answer, in whatever order nodes came, and however often it was asked.
   * @throws SkerryError invalid-request where a named place is not known
   */
  best(request: PlacementRequest): Best {
    const { fleet } = this;
    // Whoever takes another seed each time asks for nothing twice.
    if (request.seed !== undefined) return search(this.#query(request), this.#frontier);
    fleet.settle();
    this.#shapes.at(fleet.generation + fleet.layouts + fleet.words.size);
    const key = JSON.stringify(request);
    const order = this.#shapes.find(key);
    if (order === undefined) return search(makeQuery(fleet, request, this.#memo), this.#frontier);
    if (order !== "make") return order.best();
    const made = new StandingOrder(makeQuery(fleet, request, new Memo()));
    this.#shapes.keep(key, made);
    return made.best();
  }

  /** The same by a look at every node: what `best` is measured against. */
  bestByScan(request: PlacementRequest): Best {
    return scan(this.#query(request));
  }

  /** How many nodes fit, and at how many sites; looks at each that may. */
  fitting(request: PlacementRequest): { readonly nodes: number; readonly sites: number } {
    return countFitting(this.#query(request));
  }

  #query(request: PlacementRequest): Query {
    return makeQuery(this.fleet, request, this.#memo);
  }
}
