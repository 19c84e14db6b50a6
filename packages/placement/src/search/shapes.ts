import type { StandingOrder } from "./standing-order.ts";

interface Shape {
  seen: number;
  order: StandingOrder | undefined;
}

const shapesKept = 128;
/** From which time on an order is kept for a shape: to make one costs as much as a few searches. */
const worthAnOrder = 3;

/** What was asked lately, and the orders of what is asked again and again. */
export class Shapes {
  readonly #shapes = new Map<string, Shape>();
  #version = -1;

  /** Forgets all when what numbers stand for has changed. */
  at(version: number): void {
    if (version === this.#version) return;
    this.#version = version;
    this.#shapes.clear();
  }

  /** The order of a shape, `"make"` where one is due, undefined where a search is cheaper. */
  find(key: string): StandingOrder | "make" | undefined {
    const shape = this.#shapes.get(key) ?? { seen: 0, order: undefined };
    shape.seen += 1;
    this.#shapes.delete(key);
    this.#shapes.set(key, shape);
    if (this.#shapes.size > shapesKept) for (const oldest of this.#shapes.keys()) return this.#drop(oldest);
    if (shape.order !== undefined) {
      if (shape.order.isKept) return shape.order;
      // Too much has happened since: it isn't asked for often enough.
      shape.order = undefined;
      shape.seen = 1;
    }
    return shape.seen >= worthAnOrder ? "make" : undefined;
  }

  keep(key: string, order: StandingOrder): void {
    const shape = this.#shapes.get(key);
    if (shape !== undefined) shape.order = order;
  }

  #drop(key: string): undefined {
    this.#shapes.delete(key);
  }
}
