import type { NodeFacts } from "@skerry/model";
import type { Store } from "@skerry/store";
import { RightsIndex } from "../../src/authorisation/rights-index.ts";
import { PeopleIndex } from "../../src/sign-in/people-index.ts";
import { makeControllers, type Controllers } from "../../src/controllers/controllers.ts";
import type { HostProvisioner } from "../../src/operations/host-provisioner.ts";
import { ManualClock } from "../fakes/manual-clock.ts";
import { MortalStore, type Death, type Watch } from "../fakes/mortal-store.ts";
import { stillness } from "../fakes/passing-time.ts";
import { evenRandom, quietLog } from "../fakes/quiet.ts";
import { ModelNode } from "./model-node.ts";
import { nodeFacts } from "./zone-fixture.ts";

export const heartbeatMs = 30_000;

/** A control plane and its nodes in one process: real controllers over a real store, model nodes, and links that can be cut. */
export class ModelFleet {
  readonly clock = new ManualClock();
  readonly store: Store;
  readonly nodes: ModelNode[] = [];
  provisioner: HostProvisioner = { steps: () => [] };
  /** Sees every transaction of the server; see `MortalStore`. */
  watch: Watch = () => false;
  /** How far the server's wall clock is off; what never jumps is `clock`. */
  wallOffsetMs = 0;
  /** What nodes say of themselves, by their names. */
  facts: (name: string) => NodeFacts = () => nodeFacts;
  /** A node's own uptime, by its name. */
  uptimeSeconds: (name: string) => number = () => this.clock.nowMs() / 1000;
  /** How often the server was started. */
  lives = 0;
  #server: { readonly controllers: Controllers; readonly store: MortalStore } | undefined;
  readonly #timers = new Set<() => void>();

  constructor(store: Store) {
    this.store = store;
  }

  get controllers(): Controllers {
    if (this.#server === undefined) throw new Error("the server is down");
    return this.#server.controllers;
  }

  get serverIsUp(): boolean {
    return this.#server !== undefined && !this.#server.store.dead;
  }

  async startServer(): Promise<void> {
    const store = new MortalStore(this.store);
    store.watch = (when, written) => this.watch(when, written);
    this.lives++;
    const controllers = makeControllers({
      store,
      clock: {
        nowMs: () => this.clock.nowMs() + this.wallOffsetMs,
        monotonicMs: () => this.clock.nowMs(),
        setTimer: (delayMs, callback) => this.#setTimer(delayMs, callback),
      },
      random: evenRandom,
      rights: new RightsIndex(store),
      people: new PeopleIndex(store),
      log: quietLog,
      heartbeatMs,
      monotonicMs: () => this.clock.nowMs(),
      surelyLeads: () => true,
      authorityFingerprint: "f".repeat(64),
      openKey: (provider) => provider.spec.ssh?.privateKey,
      provisioner: this.provisioner,
    });
    this.#server = { controllers, store };
    const linked = (nodeId: string) => this.nodes.some((node) => node.id === nodeId && node.linked);
    void controllers.start({ isConnected: linked, push() {}, disconnect() {} });
    await this.settle();
  }

  /** Has this run of the server die at one of its next transactions. */
  killServerAt(death: Death): void {
    this.#server?.store.dieAt(death);
  }

  /** Like `kill -9`: nothing of it happens any more, and its links are gone. */
  killServer(): void {
    if (this.#server === undefined) return;
    this.#server.store.kill();
    this.#server = undefined;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    for (const node of this.nodes) node.linked = false;
  }

  addNodes(): void {
    for (const { metadata } of this.store.list("Node")) {
      if (this.nodes.some(({ id }) => id === metadata.id)) continue;
      const fetch = (from: string, volumeId: string, ticket: string, to: string) =>
        this.nodes.find(({ id }) => id === from)?.serve(volumeId, ticket, to);
      this.nodes.push(new ModelNode(metadata.id, metadata.name, fetch, () => this.uptimeSeconds(metadata.name)));
    }
  }

  async link(node: ModelNode): Promise<void> {
    if (!this.#reachable(node) || node.linked) return;
    // Whoever has not joined is not let in.
    if (this.controllers.delegate.publicKeyOf(node.id) === undefined) return;
    node.linked = true;
    void this.controllers.delegate.connected(node.id);
    await this.settle();
  }

  async unlink(node: ModelNode): Promise<void> {
    if (!node.linked) return;
    node.linked = false;
    if (this.serverIsUp) void this.controllers.delegate.disconnected(node.id);
    await this.settle();
  }

  /** Brings the newest wish to the node. Returns whether it changed anything there. */
  deliver(node: ModelNode): boolean {
    if (!node.linked || !this.#reachable(node)) return false;
    const wanted = this.controllers.delegate.wantedStateOf(node.id);
    if (wanted === undefined || wanted.revision <= (node.wanted?.revision ?? -1)) return false;
    node.take(wanted);
    return true;
  }

  async report(node: ModelNode): Promise<void> {
    if (!node.linked || !this.#reachable(node)) return;
    this.lease(node);
    void this.controllers.delegate.observed(node.id, node.report(this.facts(node.name)));
    await this.settle();
  }

  /** The node's beat and its answer. */
  lease(node: ModelNode): void {
    if (!node.linked || !this.#reachable(node)) return;
    const beat = node.beat();
    const revision = this.controllers.delegate.grant(node.id);
    if (revision !== undefined) node.granted(beat, revision);
  }

  /** Lets some time pass, and at least until the next timer. */
  async tick(leastMs: number): Promise<void> {
    this.clock.moveTo(Math.max(this.clock.nextAtMs() ?? 0, this.clock.nowMs() + leastMs));
    await this.settle();
  }

  async settle(): Promise<void> {
    const { store } = this.#server ?? {};
    await stillness(() => (store === undefined ? [] : [store]));
  }

  /** Everything is up and linked, and works until nothing changes any more but time. */
  async calm(): Promise<void> {
    for (let quiet = 0; quiet < 2;) {
      let changed = false;
      for (const node of this.nodes) {
        await this.link(node);
        changed = this.deliver(node) || changed;
        while (node.act()) changed = true;
        const { revision } = this.store;
        await this.report(node);
        changed ||= this.store.revision !== revision;
      }
      quiet = changed ? 0 : quiet + 1;
    }
  }

  /** A timer of this run of the server, which dies with it. */
  #setTimer(delayMs: number, callback: () => void): () => void {
    const cancel = this.clock.setTimer(delayMs, () => {
      this.#timers.delete(cancel);
      callback();
    });
    this.#timers.add(cancel);
    return () => {
      this.#timers.delete(cancel);
      cancel();
    };
  }

  #reachable(node: ModelNode): boolean {
    return node.alive && this.serverIsUp;
  }
}
