import type { InstanceResource } from "@skerry/model";
import type { AffinityTerm } from "@skerry/placement";
import type { ChangeEvent, Store, Tracker, Transaction, View } from "@skerry/store";

type Labels = Readonly<Record<string, string>>;
type AnyView = View & Partial<Pick<Transaction, "written">>;

/** An instance as affinities see it. */
interface Peer {
  readonly id: string;
  readonly labels: Labels;
  /** Names of the nodes where it is, or will be. */
  readonly nodes: readonly string[];
  readonly asks: NonNullable<NonNullable<InstanceResource["spec"]["placement"]>["affinity"]>;
}

/** Whose peers are asked for. */
export interface Asking {
  readonly project: string;
  readonly labels: Labels;
  readonly placement?: InstanceResource["spec"]["placement"];
}

/** How many different sets of labels are kept up for one project; more make all of them be counted anew. */
const selectorsKept = 256;

/**
 * Where the peers are that affinities name by labels, of the newest state: kept for each project in which affinities were asked for, at
 * first by a look at its instances. Whoever asks for none pays a look-up of the project.
 */
export class AffinityBook implements Tracker {
  /** Instances that must be apart from others, by project; few, and known from the start. */
  readonly #apart = new Map<string, Map<string, Peer>>();
  /** By project and selector: who has such labels. */
  readonly #peers = new Map<string, Map<string, { readonly labels: Labels; readonly found: Map<string, Peer> }>>();
  #newest: View;
  readonly #stop: () => void;

  constructor(store: Store) {
    this.#newest = store;
    this.#stop = store.track(this);
  }

  close(): void {
    this.#stop();
  }

  reset(newest: View): void {
    this.#newest = newest;
    this.#apart.clear();
    this.#peers.clear();
    // Those that ask for it are told by the store without a look at all others.
    for (const instance of newest.notables("Instance"))
      this.#takeApart(instance.metadata.project ?? "", peerOf(instance));
  }

  applied(events: readonly ChangeEvent[]): void {
    for (const { object, type, project = "" } of events) {
      if (object.kind !== "Instance") continue;
      const kept = this.#peers.get(project);
      const asks = object.spec.placement?.affinity;
      if (kept === undefined && asks === undefined && !this.#apart.has(project)) continue;
      const peer = peerOf(object);
      const isThere = type !== "deleted";
      if (isThere) this.#takeApart(project, peer);
      else this.#apart.get(project)?.delete(peer.id);
      for (const { labels, found } of kept?.values() ?? [])
        if (isThere && hasAll(peer.labels, labels)) found.set(peer.id, peer);
        else found.delete(peer.id);
    }
  }

  /**
   * What an instance asks of where its peers are, in the order of its spec, and then what those ask that must be apart from it.
   * @param id its own, which is no peer of it; others that are left out too
   */
  termsFor(
    view: AnyView,
    { project, labels, placement }: Asking,
    without: ReadonlySet<string>,
  ): readonly AffinityTerm[] {
    const asks = placement?.affinity ?? [];
    if (asks.length === 0 && !this.#apart.has(project) && !hasAskedItself(view, project)) return [];
    const own = ownPeers(view, project);
    const seen = (found: Iterable<Peer>, isOne: (peer: Peer) => boolean): Peer[] => [
      ...[...found].filter(({ id }) => !own.has(id) && !without.has(id)),
      ...[...own.values()].flatMap((peer) =>
        peer !== undefined && !without.has(peer.id) && isOne(peer) ? [peer] : [],
      ),
    ];
    const terms: AffinityTerm[] = asks.map(({ labels: wanted, ...term }) => ({
      ...term,
      nodes: seen(this.#having(project, wanted), (peer) => hasAll(peer.labels, wanted)).flatMap(({ nodes }) => nodes),
    }));
    for (const peer of seen(this.#apart.get(project)?.values() ?? [], ({ asks: others }) => others.some(isHardApart)))
      terms.push(...termsTowards(peer, labels));
    return terms;
  }

  #takeApart(project: string, peer: Peer): void {
    const known = this.#apart.get(project) ?? new Map<string, Peer>();
    if (peer.asks.some(isHardApart)) {
      known.set(peer.id, peer);
      this.#apart.set(project, known);
    } else if (known.delete(peer.id) && known.size === 0) this.#apart.delete(project);
  }

  #having(project: string, labels: Labels): Iterable<Peer> {
    const kept = this.#peers.get(project) ?? new Map<string, { labels: Labels; found: Map<string, Peer> }>();
    this.#peers.set(project, kept);
    const key = JSON.stringify(Object.entries(labels).sort(([one], [other]) => (one < other ? -1 : 1)));
    const known = kept.get(key);
    if (known !== undefined) return known.found.values();
    if (kept.size >= selectorsKept) kept.clear();
    const found = new Map<string, Peer>();
    for (const instance of this.#newest.list("Instance", project))
      if (hasAll(instance.metadata.labels, labels)) found.set(instance.metadata.id, peerOf(instance));
    kept.set(key, { labels, found });
    return found.values();
  }
}

/** What an instance asks of one that has these labels, without its having asked for it. */
export function termsTowards({ asks, nodes }: Pick<Peer, "asks" | "nodes">, labels: Labels): AffinityTerm[] {
  return asks
    .filter((ask) => isHardApart(ask) && hasAll(labels, ask.labels))
    .map(({ relation, by }) => ({ relation, by, nodes }));
}

export function hasAll(labels: Labels, wanted: Labels): boolean {
  for (const key in wanted) if (labels[key] !== wanted[key]) return false;
  return true;
}

function isHardApart({ relation, weight }: Peer["asks"][number]): boolean {
  return relation === "apart" && weight === undefined;
}

function hasAskedItself({ written = [] }: AnyView, project: string): boolean {
  return written.some(
    ({ event: { object, project: where } }) =>
      object.kind === "Instance" && where === project && object.spec.placement?.affinity !== undefined,
  );
}

/** What a transaction has changed itself; undefined for what it has deleted. */
function ownPeers({ written = [] }: AnyView, project: string): ReadonlyMap<string, Peer | undefined> {
  const own = new Map<string, Peer | undefined>();
  for (const { event } of written)
    if (event.object.kind === "Instance" && event.project === project)
      own.set(event.id, event.type === "deleted" ? undefined : peerOf(event.object));
  return own;
}

function peerOf({ metadata, assignment, spec }: InstanceResource): Peer {
  const isGone = assignment === undefined || assignment.removal?.done === true;
  const moving = assignment?.movingTo === undefined ? [] : [assignment.movingTo.node];
  return {
    id: metadata.id,
    labels: metadata.labels,
    nodes: isGone ? [] : [assignment.node, ...moving],
    asks: spec.placement?.affinity ?? [],
  };
}
