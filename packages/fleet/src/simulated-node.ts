import { createHash } from "node:crypto";
import type { NodeFacts } from "@skerry/model";
import {
  NodeLease,
  changedWanted,
  leaseStage,
  nextLeaseChange,
  type ObservedInstance,
  type ObservedState,
  type ObservedVolume,
  type WantedChange,
  type WantedInstance,
  type WantedState,
  type WantedVolume,
} from "@skerry/protocol";
import type { NodePlan } from "./plan.ts";
import { seededRandom } from "./random.ts";

interface Guest {
  readonly id: string;
  epoch: number;
  generation: number;
  state: "starting" | "running" | "stopped" | "failed";
  /** When a start is done. */
  readyMs: number;
  startedMs: number;
  reboots: number;
}

interface Disk {
  epoch: number;
  readonly sizeMiB: number;
  /** Of the import that made it. */
  readonly ticket: string | undefined;
}

/**
 * A host and its agent, as the server sees them: it follows wanted states, takes the time to boot that its plan says, keeps leases, and
 * reports. There are no disks and no guests behind it. Time is given to it, so that it can be tried without waiting.
 */
export class SimulatedNode {
  readonly plan: NodePlan;
  readonly #random: () => number;
  readonly #lease: NodeLease;
  #wanted: WantedState | undefined;
  readonly #disks = new Map<string, Disk>();
  readonly #guests = new Map<string, Guest>();
  #nowMs = 0;

  constructor(plan: NodePlan) {
    this.plan = plan;
    this.#random = seededRandom(plan.seed);
    this.#lease = new NodeLease(() => this.#nowMs / 1000);
  }

  get wantedRevision(): number {
    return this.#wanted?.revision ?? 0;
  }

  /** How many guests run. */
  get running(): number {
    let count = 0;
    for (const { state } of this.#guests.values()) if (state === "running") count += 1;
    return count;
  }

  take(state: WantedState): void {
    if (this.plan.character !== "hanging" && state.revision >= this.wantedRevision) this.#wanted = state;
  }

  /** False where it is a change of another state than it has: it needs a whole one. */
  change(change: WantedChange): boolean {
    if (this.plan.character === "hanging") return true;
    if (this.#wanted?.revision !== change.since) return false;
    this.#wanted = changedWanted(this.#wanted, change);
    return true;
  }

  /** Numbers a beat that is sent now. */
  beat(nowMs: number): number {
    this.#nowMs = nowMs;
    return this.#lease.beat();
  }

  granted(beat: number, wantedRevision: number): void {
    this.#lease.granted(beat, wantedRevision, this.wantedRevision);
  }

  /** Does all that can be done by now. @returns when there is more to do, ms; undefined where only a new wish would bring some */
  advance(nowMs: number): number | undefined {
    this.#nowMs = nowMs;
    if (this.#wanted === undefined) return undefined;
    for (const volume of this.#wanted.volumes) this.#keep(volume);
    let nextMs = Infinity;
    for (const instance of this.#wanted.instances) nextMs = Math.min(nextMs, this.#drive(instance));
    return nextMs === Infinity ? undefined : nextMs;
  }

  report(facts: NodeFacts): ObservedState {
    const { networks = [], volumes = [], instances = [] } = this.#wanted ?? {};
    return {
      wantedRevision: this.wantedRevision,
      facts,
      networks: networks.map(({ id, presence }) => ({ id, state: presence === "present" ? "ready" : "absent" })),
      volumes: volumes.map((volume) => this.#observedVolume(volume)),
      instances: instances.map((instance) => this.#observedInstance(instance)),
    };
  }

  #keep({ id, presence, epoch, sizeMiB, origin }: WantedVolume): void {
    const disk = this.#disks.get(id);
    if (presence === "absent") this.#disks.delete(id);
    else if (origin.kind === "import" && disk?.ticket !== origin.ticket)
      this.#disks.set(id, { epoch, sizeMiB, ticket: origin.ticket });
    else if (disk !== undefined) disk.epoch = Math.max(disk.epoch, epoch);
    else if (origin.kind !== "existing") this.#disks.set(id, { epoch, sizeMiB, ticket: undefined });
  }

  /** @returns when it changes by itself, ms */
  #drive(wanted: WantedInstance): number {
    const { id, epoch, generation, rebootGeneration: reboots } = wanted;
    const guest = this.#guests.get(id);
    const ageSeconds = this.#lease.ageSeconds;
    const stage = wanted.lease === undefined ? "held" : leaseStage(ageSeconds, wanted.lease.seconds);
    const mayRun = wanted.presence === "present" && wanted.power === "running" && stage === "held";
    if (wanted.presence === "absent") this.#guests.delete(id);
    else if (!mayRun) this.#guests.set(id, this.#guestLike(wanted, "stopped"));
    else if (guest === undefined || guest.state === "stopped" || guest.reboots < reboots) {
      if (this.#disks.has(wanted.rootVolume)) this.#start(wanted);
    } else {
      Object.assign(guest, { epoch, generation });
      if (guest.state === "starting" && guest.readyMs <= this.#nowMs) guest.state = "running";
    }
    const now = this.#guests.get(id);
    const bootMs = now?.state === "starting" ? now.readyMs : Infinity;
    const changeSeconds = wanted.lease === undefined ? undefined : nextLeaseChange(ageSeconds, wanted.lease.seconds);
    return Math.min(bootMs, changeSeconds === undefined ? Infinity : this.#nowMs + changeSeconds * 1000);
  }

  #start(wanted: WantedInstance): void {
    const guest = this.#guestLike(wanted, this.plan.character === "failing" ? "failed" : "starting");
    const [least, most] = this.plan.bootMs;
    guest.startedMs = this.#nowMs;
    guest.readyMs = this.#nowMs + least + this.#random() * (most - least);
    this.#guests.set(wanted.id, guest);
  }

  #guestLike({ id, epoch, generation, rebootGeneration }: WantedInstance, state: Guest["state"]): Guest {
    return { id, epoch, generation, state, readyMs: 0, startedMs: 0, reboots: rebootGeneration };
  }

  #observedVolume({ id, epoch, access }: WantedVolume): ObservedVolume {
    const disk = this.#disks.get(id);
    if (disk === undefined) return { id, epoch, state: "absent" };
    const digested = access === "offer" || disk.ticket !== undefined;
    return {
      id,
      epoch: disk.epoch,
      state: "ready",
      usedBytes: disk.sizeMiB * 2 ** 20,
      ...(digested ? { digest: digestOf(id) } : {}),
      ...(access === "offer" ? { offered: true } : {}),
    };
  }

  #observedInstance({ id, epoch, generation, rebootGeneration, lease, healthCheck }: WantedInstance): ObservedInstance {
    const guest = this.#guests.get(id);
    if (guest === undefined) return { id, epoch, generation, state: "absent", health: "unknown", rebootGeneration };
    const runs = guest.state === "running";
    return {
      id,
      epoch: guest.epoch,
      generation: guest.generation,
      state: guest.state,
      health: runs && healthCheck !== undefined ? "healthy" : "unknown",
      rebootGeneration: guest.reboots,
      ...(runs
        ? { startedAt: new Date(guest.startedMs).toISOString(), bootMs: Math.round(guest.readyMs - guest.startedMs) }
        : {}),
      ...(lease === undefined ? {} : { leaseSeconds: lease.seconds }),
      ...(guest.state === "failed" ? { error: "The simulated host starts no guest." } : {}),
    };
  }
}

/** Of a disk that nobody ever writes to: the same wherever it is. */
function digestOf(id: string): string {
  return `sha256:${createHash("sha256").update(id).digest("hex")}`;
}
