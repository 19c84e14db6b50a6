import type { InstanceResource } from "@skerry/model";

export type Labels = Readonly<Record<string, string>>;

/** An instance as affinities see it. */
export interface Peer {
  readonly id: string;
  readonly labels: Labels;
  /** Names of the nodes where it is, or will be. */
  readonly nodes: readonly string[];
  readonly asks: NonNullable<NonNullable<InstanceResource["spec"]["placement"]>["affinity"]>;
}

/** All of a project's instances by their labels. To find some costs as many as have the rarest of the labels that are asked for. */
export class ProjectPeers {
  readonly #all = new Map<string, Peer>();
  readonly #labelled = new Map<string, Map<string, Peer>>();

  get size(): number {
    return this.#all.size;
  }

  put(peer: Peer): void {
    this.delete(peer.id);
    this.#all.set(peer.id, peer);
    for (const label of wordsOf(peer.labels)) {
      const those = this.#labelled.get(label) ?? new Map<string, Peer>();
      this.#labelled.set(label, those.set(peer.id, peer));
    }
  }

  delete(id: string): void {
    const known = this.#all.get(id);
    if (known === undefined) return;
    this.#all.delete(id);
    for (const label of wordsOf(known.labels)) {
      const those = this.#labelled.get(label);
      those?.delete(id);
      if (those?.size === 0) this.#labelled.delete(label);
    }
  }

  /** Good until the next change. */
  *having(labels: Labels): Iterable<Peer> {
    let fewest = this.#all;
    for (const label of wordsOf(labels)) {
      const those = this.#labelled.get(label);
      if (those === undefined) return;
      if (those.size < fewest.size) fewest = those;
    }
    for (const peer of fewest.values()) if (hasAll(peer.labels, labels)) yield peer;
  }
}

export function hasAll(labels: Labels, wanted: Labels): boolean {
  for (const key in wanted) if (labels[key] !== wanted[key]) return false;
  return true;
}

export function peerOf({ metadata, assignment, spec }: InstanceResource): Peer {
  const isGone = assignment === undefined || assignment.removal?.done === true;
  const moving = assignment?.movingTo === undefined ? [] : [assignment.movingTo.node];
  return {
    id: metadata.id,
    labels: metadata.labels,
    nodes: isGone ? [] : [assignment.node, ...moving],
    asks: spec.placement?.affinity ?? [],
  };
}

function wordsOf(labels: Labels): string[] {
  return Object.entries(labels).map(([key, value]) => `${key}\n${value}`);
}
