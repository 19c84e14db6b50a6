import type { InstanceResource } from "@skerry/model";
import type { AffinityTerm } from "@skerry/placement";
import type { ChangeEvent, Store, Tracker, Transaction, View } from "@skerry/store";
import { ProjectPeers, hasAll, peerOf, type Labels, type Peer } from "./project-peers.ts";

type AnyView = View & Partial<Pick<Transaction, "written">>;

/** Whose peers are asked for. */
export interface Asking {
  readonly project: string;
  readonly labels: Labels;
  readonly placement?: InstanceResource["spec"]["placement"];
}

/** So many instances are kept by their labels, about 1 kB each; beyond, the projects that were asked for longest ago are let go. */
const defaultKept = 100_000;

/**
 * Where the peers are that affinities name by labels, of the newest state: kept for each project in which affinities were asked for, at
 * first by a look at its instances. Whoever asks for none pays a look-up of the project.
 */
export class AffinityBook implements Tracker {
  /** Instances that must be apart from others, by project; few, and known from the start. */
  readonly #apart = new Map<string, Map<string, Peer>>();
  /** By project, those last that were asked for last. */
  readonly #peers = new Map<string, ProjectPeers>();
  readonly #mostKept: number;
  #newest: View;
  readonly #stop: () => void;

  constructor(store: Store, mostKept = defaultKept) {
    this.#mostKept = mostKept;
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
      if (type === "deleted") {
        this.#takeApart(project, { ...peer, asks: [] });
        kept?.delete(peer.id);
        if (kept?.size === 0) this.#peers.delete(project);
      } else {
        this.#takeApart(project, peer);
        kept?.put(peer);
      }
    }
  }

  /** Projects and instances that are kept. */
  get size(): { readonly projects: number; readonly instances: number } {
    const projects = new Set([...this.#peers.keys(), ...this.#apart.keys()]);
    return { projects: projects.size, instances: this.#count() };
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
    const seen = (found: Iterable<Peer>, isOne: (peer: Peer) => boolean): Peer[] => {
      const peers: Peer[] = [];
      for (const peer of found) if (!own.has(peer.id) && !without.has(peer.id)) peers.push(peer);
      for (const peer of own.values()) if (peer !== undefined && !without.has(peer.id) && isOne(peer)) peers.push(peer);
      return peers;
    };
    const terms: AffinityTerm[] = asks.map(({ labels: wanted, ...term }) => {
      const nodes: string[] = [];
      for (const peer of seen(this.#of(project).having(wanted), ({ labels: its }) => hasAll(its, wanted)))
        nodes.push(...peer.nodes);
      return { ...term, nodes };
    });
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

  #of(project: string): ProjectPeers {
    const kept = this.#peers.get(project) ?? this.#look(project);
    this.#peers.delete(project);
    if (kept.size > 0) this.#peers.set(project, kept);
    return kept;
  }

  #look(project: string): ProjectPeers {
    const peers = new ProjectPeers();
    for (const instance of this.#newest.list("Instance", project)) peers.put(peerOf(instance));
    let count = peers.size + this.#count();
    for (const [oldest, { size }] of this.#peers) {
      if (count <= this.#mostKept) break;
      this.#peers.delete(oldest);
      count -= size;
    }
    return peers;
  }

  #count(): number {
    let count = 0;
    for (const { size } of this.#peers.values()) count += size;
    return count;
  }
}

/** What an instance asks of one that has these labels, without its having asked for it. */
export function termsTowards({ asks, nodes }: Pick<Peer, "asks" | "nodes">, labels: Labels): AffinityTerm[] {
  return asks
    .filter((ask) => isHardApart(ask) && hasAll(labels, ask.labels))
    .map(({ relation, by }) => ({ relation, by, nodes }));
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
