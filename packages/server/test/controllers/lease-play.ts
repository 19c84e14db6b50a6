import assert from "node:assert/strict";
import type { InstanceResource, OnDisconnect } from "@skerry/model";
import type { Store } from "@skerry/store";
import { WriterHistory, overlaps } from "@skerry/testkit";
import { empty } from "../fakes/scratch-store.ts";
import { ModelFleet } from "./model-fleet.ts";
import type { ModelNode } from "./model-node.ts";
import { create, instanceSpec, nodeFacts, seedZone, update } from "./zone-fixture.ts";

/*
 * A zone in which anything may fail at any time, watched by an onlooker with a true clock. Nodes' clocks run up to 5 % fast or slow
 * and begin anew at each boot; the server's wall clock jumps; messages take up to 20 s and outlive their links.
 */

const secondMs = 1000;
const beatEverySeconds = 5;
const mendedEachSecond = 1 / 80;
const policies: readonly OnDisconnect[] = [
  "keep",
  { replaceAfterSeconds: 60 },
  { replaceAfterSeconds: 60 },
  { replaceAfterSeconds: 150 },
];

/** What the onlooker knows of a host beside its agent. */
interface Host {
  readonly node: ModelNode;
  readonly rate: number;
  bootedMs: number;
  /** Everything on it stands still, and its uptime goes on. */
  suspended: boolean;
  resumed: boolean;
  /** Its agent is stopped by a signal; its link may be up. */
  hung: boolean;
  /** Nothing passes between it and the server. */
  cut: boolean;
  /** Wishes reach it no earlier; answers to its beats may. */
  deafUntilMs: number;
}

/** A beat or an answer on its way. */
interface Message {
  readonly node: ModelNode;
  readonly beat: number;
  readonly revision?: number;
  readonly dueMs: number;
}

export interface LeaseReport {
  readonly replacements: number;
  readonly writings: number;
}

/** One run of `incidents` troubles, and the peace after it. Throws where two wrote, an intent was lost or what is kept did not run on. */
export async function playLeases(store: Store, random: () => number, incidents: number): Promise<LeaseReport> {
  await empty(store);
  const play = new LeasePlay(new ModelFleet(store), random);
  try {
    await play.begin();
    for (let count = 0; count < incidents; count++) {
      await play.trouble();
      await play.pass(1 + Math.floor(random() * 25));
    }
    await play.heal();
    return play.judge();
  } finally {
    play.end();
  }
}

class LeasePlay {
  readonly #fleet: ModelFleet;
  readonly #random: () => number;
  readonly #history = new WriterHistory();
  #hosts: readonly Host[] = [];
  #messages: Message[] = [];
  #leased = "";
  #kept = "";
  /** Acknowledged, newest last. */
  readonly #policies: OnDisconnect[] = [];
  /** The boot at which what is kept was last seen to run. */
  #keptRanSinceMs: number | undefined;

  constructor(fleet: ModelFleet, random: () => number) {
    this.#fleet = fleet;
    this.#random = random;
  }

  async begin(): Promise<void> {
    const fleet = this.#fleet;
    await fleet.startServer();
    await seedZone(fleet.store, fleet.controllers.intents, fleet.clock.nowMs());
    fleet.uptimeSeconds = (name) => {
      const host = this.#hosts.find(({ node }) => node.name === name);
      return host === undefined ? 0 : ((fleet.clock.nowMs() - host.bootedMs) / secondMs) * host.rate;
    };
    fleet.addNodes();
    const bootedMs = fleet.clock.nowMs() - 1000 * secondMs;
    this.#hosts = fleet.nodes.map((node) => {
      const rate = 0.95 + this.#random() * 0.1;
      return { node, rate, bootedMs, suspended: false, resumed: false, hung: false, cut: false, deafUntilMs: 0 };
    });
    await fleet.calm();
    const first = this.#anyPolicy();
    await fleet.store.transact((tx) => {
      const { intents } = fleet.controllers;
      const nowMs = fleet.clock.nowMs();
      create(
        tx,
        intents,
        "Instance",
        { name: "web", project: "shop" },
        { ...instanceSpec, onDisconnect: first },
        nowMs,
      );
      create(tx, intents, "Instance", { name: "rock", project: "shop" }, instanceSpec, nowMs);
    });
    this.#policies.push(first);
    await fleet.calm();
    this.#leased = this.#instance("web").metadata.id;
    this.#kept = this.#instance("rock").metadata.id;
    this.#look();
  }

  end(): void {
    this.#fleet.killServer();
  }

  /** One thing goes wrong, or is mended. */
  async trouble(): Promise<void> {
    const fleet = this.#fleet;
    const pick = this.#hosts[Math.floor(this.#random() * this.#hosts.length)];
    const owner = this.#hosts.find(({ node }) => node.id === this.#instance("web").assignment?.nodeId);
    const host = this.#random() < 0.5 ? owner : pick;
    assert.ok(host !== undefined);
    const choice = Math.floor(this.#random() * 14);
    if (choice <= 2) await this.#cut(host);
    else if (choice === 3) host.node.alive = false;
    else if (choice === 4) host.hung = true;
    else if (choice <= 6) host.suspended = true;
    else if (choice === 7) await this.#reboot(host);
    else if (choice === 8) fleet.killServer();
    else if (choice === 9) fleet.wallOffsetMs = (this.#random() - 0.5) * 7_200_000;
    else if (choice >= 11) await this.#changePolicy();
    else if (choice === 10) await this.pass(100);
    this.#look();
  }

  /** True time passes, second by second. */
  async pass(seconds: number): Promise<void> {
    const fleet = this.#fleet;
    for (let count = 1; count <= seconds; count++) {
      fleet.clock.moveTo(fleet.clock.nowMs() + secondMs);
      for (const host of this.#hosts) if (!host.suspended) host.node.guard();
      this.#look();
      for (const host of this.#hosts) host.resumed = false;
      this.#carry();
      if (this.#random() < 0.05) await this.#startServer();
      for (const host of this.#hosts) this.#live(host, count);
      if (this.#random() < 0.3) await new Promise((resolve) => setImmediate(resolve));
      if (count % 20 === 0) await fleet.settle();
    }
    await fleet.settle();
  }

  /** All that is broken is mended, and there is time for what follows. */
  async heal(): Promise<void> {
    for (let minutes = 0; minutes < 30; minutes++) {
      await this.#startServer();
      for (const host of this.#hosts) {
        this.#mend(host);
        if (!host.node.linked) this.#link(host);
      }
      await this.pass(60);
      if (this.#isWell()) return;
    }
    assert.fail(`it never comes to rest: ${JSON.stringify(this.#instance("web"))}`);
  }

  judge(): LeaseReport {
    const { store } = this.#fleet;
    assert.deepEqual(overlaps(this.#history.all), [], "two wrote at one time");
    const web = this.#instance("web");
    assert.deepEqual(web.spec.onDisconnect, this.#policies.at(-1), "an acknowledged intent was lost");
    const rock = this.#instance("rock");
    assert.equal(rock.assignment?.epoch, 1, "what is kept was moved");
    assert.equal(store.list("Instance").length, 2);
    const replaced = store.list("Operation").filter(({ status }) => status.result?.["replaced"] === true);
    return { replacements: replaced.length, writings: this.#history.all.length };
  }

  /** What a host's agent does in a second, where it can do anything. */
  #live(host: Host, second: number): void {
    const fleet = this.#fleet;
    const { node } = host;
    if (this.#random() < mendedEachSecond) this.#mend(host);
    if (host.suspended || host.hung || !node.alive) return;
    if (!node.linked && !host.cut && this.#random() < 0.2) this.#link(host);
    if (this.#random() < 0.5 && fleet.clock.nowMs() >= host.deafUntilMs) fleet.deliver(node);
    if (second % beatEverySeconds === 0) this.#send({ node, beat: node.beat() });
    if (this.#random() < 0.7) {
      while (node.act(Math.floor(this.#random() * 4))) this.#look();
    }
    if (second % 10 === 0 && node.linked && fleet.serverIsUp)
      void fleet.controllers.delegate.observed(node.id, node.report(nodeFacts)).catch(() => undefined);
    this.#look();
  }

  #link(host: Host): void {
    const fleet = this.#fleet;
    const { node } = host;
    if (!fleet.serverIsUp) return;
    host.deafUntilMs = fleet.clock.nowMs() + (this.#random() < 0.4 ? 12 * secondMs : 0);
    node.linked = true;
    void fleet.controllers.delegate.connected(node.id).catch(() => undefined);
  }

  /** The server learns of it at once, or (here: soon after) by the silence. */
  async #cut(host: Host): Promise<void> {
    host.cut = true;
    await this.#fleet.unlink(host.node);
  }

  #mend(host: Host): void {
    this.#resume(host);
    Object.assign(host, { hung: false, cut: false });
    host.node.alive = true;
  }

  #send(message: Omit<Message, "dueMs">): void {
    const slow = this.#random() < 0.1 ? 20 : 1;
    this.#messages.push({ ...message, dueMs: this.#fleet.clock.nowMs() + this.#random() * slow * secondMs });
  }

  /** What is on its way arrives, in whatever order; with nobody to take it, it is lost. */
  #carry(): void {
    const nowMs = this.#fleet.clock.nowMs();
    const due = this.#messages.filter(({ dueMs }) => dueMs <= nowMs);
    this.#messages = this.#messages.filter(({ dueMs }) => dueMs > nowMs);
    for (const message of due) {
      const { node, beat, revision } = message;
      if (revision !== undefined) {
        const host = this.#hosts.find((each) => each.node === node);
        // A stopped agent finds it when it goes on.
        if (host?.suspended === true || host?.hung === true) this.#send(message);
        else if (node.alive) node.granted(beat, revision);
      } else if (node.linked && this.#fleet.serverIsUp) {
        const granted = this.#fleet.controllers.delegate.grant(node.id);
        if (granted !== undefined) this.#send({ node, beat, revision: granted });
      }
    }
  }

  #resume(host: Host): void {
    if (!host.suspended) return;
    Object.assign(host, { suspended: false, resumed: true });
    this.#look();
  }

  async #reboot(host: Host): Promise<void> {
    await this.#fleet.unlink(host.node);
    Object.assign(host, { suspended: false, hung: false, bootedMs: this.#fleet.clock.nowMs() });
    host.node.reboot();
    if (host.node.guests.has(this.#kept)) this.#keptRanSinceMs = undefined;
  }

  async #startServer(): Promise<void> {
    if (this.#fleet.serverIsUp) return;
    this.#fleet.killServer();
    await this.#fleet.startServer();
  }

  async #changePolicy(): Promise<void> {
    const fleet = this.#fleet;
    if (!fleet.serverIsUp) return;
    const policy = this.#anyPolicy();
    const { intents } = fleet.controllers;
    await fleet.store.transact((tx) =>
      update(tx, intents, this.#instance("web"), { onDisconnect: policy }, fleet.clock.nowMs()),
    );
    this.#policies.push(policy);
  }

  #anyPolicy(): OnDisconnect {
    return policies[Math.floor(this.#random() * policies.length)] ?? "keep";
  }

  /** The onlooker notes who writes, and that what is kept runs on. */
  #look(): void {
    const nowMs = this.#fleet.clock.nowMs();
    for (const { node, suspended, resumed } of this.#hosts) {
      for (const id of [this.#leased, this.#kept]) {
        const guest = node.guests.get(id);
        const writes = guest?.running === true && !suspended;
        this.#history.see(id, node.name, writes ? guest.epoch : undefined, nowMs, resumed);
        if (id !== this.#kept || guest === undefined) continue;
        if (guest.running) this.#keptRanSinceMs ??= nowMs;
        else assert.equal(this.#keptRanSinceMs, undefined, "what is kept was stopped");
      }
    }
  }

  #isWell(): boolean {
    const running = this.#hosts.filter(({ node }) => node.guests.get(this.#leased)?.running === true);
    const { assignment } = this.#instance("web");
    return (
      running.length === 1 &&
      running[0]?.node.id === assignment?.nodeId &&
      (assignment?.former ?? []).length === 0 &&
      this.#hosts.filter(({ node }) => node.guests.has(this.#leased)).length === 1 &&
      this.#hosts.some(({ node }) => node.guests.get(this.#kept)?.running === true)
    );
  }

  #instance(name: string): InstanceResource {
    return this.#fleet.store.get("Instance", { project: "shop", name }) ?? assert.fail(`there is no ${name}`);
  }
}
