/** What changes may have altered in one node's wanted state. */
export interface Touched {
  /** More than the rest of these says: all of it is to be looked at. */
  readonly everything: boolean;
  readonly surroundings: boolean;
  readonly volumes: ReadonlySet<string>;
  readonly instances: ReadonlySet<string>;
}

interface Gathered {
  everything: boolean;
  surroundings: boolean;
  readonly volumes: Set<string>;
  readonly instances: Set<string>;
}

/** Gathers, by node, what changes touch. */
export class Touches {
  readonly #byNode = new Map<string, Gathered>();

  get byNode(): ReadonlyMap<string, Touched> {
    return this.#byNode;
  }

  instance(nodeId: string, id: string): void {
    this.#of(nodeId).instances.add(id);
  }

  volume(nodeId: string, id: string): void {
    this.#of(nodeId).volumes.add(id);
  }

  surroundings(nodeId: string): void {
    this.#of(nodeId).surroundings = true;
  }

  everything(nodeId: string): void {
    this.#of(nodeId).everything = true;
  }

  add(nodeId: string, touched: Touched): void {
    const gathered = this.#of(nodeId);
    gathered.everything ||= touched.everything;
    gathered.surroundings ||= touched.surroundings;
    for (const id of touched.volumes) gathered.volumes.add(id);
    for (const id of touched.instances) gathered.instances.add(id);
  }

  has(nodeId: string): boolean {
    return this.#byNode.has(nodeId);
  }

  /** What was gathered of a node, once. */
  take(nodeId: string): Touched | undefined {
    const gathered = this.#byNode.get(nodeId);
    this.#byNode.delete(nodeId);
    return gathered;
  }

  #of(nodeId: string): Gathered {
    const known = this.#byNode.get(nodeId);
    if (known !== undefined) return known;
    const made = { everything: false, surroundings: false, volumes: new Set<string>(), instances: new Set<string>() };
    this.#byNode.set(nodeId, made);
    return made;
  }
}
