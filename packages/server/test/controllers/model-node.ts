import type { NodeFacts } from "@skerry/model";
import {
  NodeLease,
  leaseStage,
  type ObservedState,
  type WantedInstance,
  type WantedState,
  type WantedVolume,
} from "@skerry/protocol";

/** A disk file: what was written to it, letter by letter; `whole` once an import was verified or it was made. */
interface Disk {
  epoch: number;
  content: string;
  whole: boolean;
  digested: boolean;
  /** Of the import that made it. */
  ticket?: string;
}

interface Guest {
  readonly volume: string;
  epoch: number;
  generation: number;
  running: boolean;
  healthy: boolean;
  reboots: number;
  /** Of the host, that it has open while it runs. */
  readonly devices: readonly string[];
}

type Action = () => unknown;

/** Where another node's offered disk is read. */
export type Fetch = (fromNode: string, volumeId: string, ticket: string, toNode: string) => string | undefined;

/**
 * A host with an agent that follows wanted states, one small action at a time. It keeps the protocol's promises (the wish is
 * journalled before anything follows from it, older wishes are ignored) and is otherwise naive: it starts whatever it
 * is told to run and offers whatever it is told to offer, in any order and whatever the epoch or access says, so that exactly
 * one copy is the server's doing.
 */
export class ModelNode {
  readonly id: string;
  readonly name: string;
  /** Guests here never become healthy. */
  sick = false;
  /** Its disk changes what is copied to it. */
  garbles = false;
  /** The agent's process; guests live without it. */
  alive = true;
  linked = false;
  wanted: WantedState | undefined;
  readonly disks = new Map<string, Disk>();
  readonly guests = new Map<string, Guest>();
  /** Forgets all that it knew of leases and wishes wherever it must, and nothing more. */
  #lease: NodeLease;
  /** What the guard was told: when each guest is ended, by uptime. It outlives the agent. */
  readonly #guard = new Map<string, number>();
  readonly #fetch: Fetch;
  readonly #uptimeSeconds: () => number;
  #written = 0;

  constructor(id: string, name: string, fetch: Fetch, uptimeSeconds: () => number) {
    this.id = id;
    this.name = name;
    this.#fetch = fetch;
    this.#uptimeSeconds = uptimeSeconds;
    this.#lease = new NodeLease(uptimeSeconds);
  }

  get runs(): boolean {
    this.guard();
    return [...this.guests.values()].some((guest) => guest.running);
  }

  /** What running guests have of the host, each as often as one has it. */
  get devicesInUse(): readonly string[] {
    this.guard();
    return [...this.guests.values()].flatMap(({ running, devices }) => (running ? devices : []));
  }

  /** Journals a wish. */
  take(wanted: WantedState): void {
    if (this.wanted !== undefined && wanted.revision < this.wanted.revision) return;
    this.wanted = wanted;
    this.#instructGuard();
  }

  /** Numbers a beat that is sent now. */
  beat(): number {
    return this.#lease.beat();
  }

  granted(beat: number, wantedRevision: number): void {
    if (this.#lease.granted(beat, wantedRevision, this.wanted?.revision ?? 0)) this.#instructGuard();
  }

  /** A round of the guard, whether the agent is there or not. */
  guard(): void {
    const nowSeconds = this.#uptimeSeconds();
    for (const [id, endsAtSeconds] of this.#guard) {
      const guest = this.guests.get(id);
      if (guest !== undefined && nowSeconds >= endsAtSeconds) guest.running = false;
    }
  }

  #instructGuard(): void {
    for (const { id, presence, lease } of this.wanted?.instances ?? []) {
      if (lease !== undefined) this.#guard.set(id, this.#lease.endsAtSeconds(lease.seconds));
      else if (presence === "present") this.#guard.delete(id);
    }
  }

  /** The host loses power and comes back: guests are down, the journal and the disks are there. */
  reboot(): void {
    for (const guest of this.guests.values()) guest.running = false;
    this.alive = true;
    this.linked = false;
    this.#lease = new NodeLease(this.#uptimeSeconds);
    this.#guard.clear();
    this.#instructGuard();
  }

  /**
   * Does one thing that brings it nearer to its journal's wish: whichever `pick` says of those that can be done now.
   * Returns whether there was anything to do.
   */
  act(pick = 0): boolean {
    if (!this.alive || this.wanted === undefined) return false;
    const possible = [
      ...this.wanted.instances.map((instance) => this.#instanceAction(instance)),
      ...this.wanted.volumes.map((volume) => this.#volumeAction(volume)),
      ...[...this.guests.values()].map((guest) => this.#boot(guest)),
    ].filter((action) => action !== undefined);
    const action = possible[pick % Math.max(1, possible.length)];
    action?.();
    return action !== undefined;
  }

  report(facts: NodeFacts): ObservedState {
    return {
      wantedRevision: this.wanted?.revision ?? 0,
      facts,
      networks: [],
      volumes: [...this.disks].map(([id, disk]) => ({
        id,
        epoch: disk.epoch,
        state: disk.whole ? ("ready" as const) : ("importing" as const),
        doneBytes: disk.content.length,
        ...(disk.digested ? { digest: digestOf(disk.content) } : {}),
        ...(this.#offers(id) ? { offered: true } : {}),
      })),
      instances: [...this.guests].map(([id, guest]) => ({
        id,
        epoch: guest.epoch,
        generation: guest.generation,
        state: guest.running ? ("running" as const) : ("stopped" as const),
        health: guest.running && guest.healthy ? ("healthy" as const) : ("unknown" as const),
        rebootGeneration: guest.reboots,
        ...this.#leaseOf(id),
      })),
    };
  }

  #leaseOf(id: string): { leaseSeconds?: number } {
    const seconds = this.wanted?.instances.find((wanted) => wanted.id === id)?.lease?.seconds;
    return seconds === undefined ? {} : { leaseSeconds: seconds };
  }

  /** The content of a disk that it offers to the asker under this ticket. */
  serve(volumeId: string, ticket: string, toNode: string): string | undefined {
    const offer = this.wanted?.volumes.find((volume) => volume.id === volumeId)?.offeredTo;
    if (!this.alive || !this.#offers(volumeId) || offer?.ticket !== ticket || offer.nodeId !== toNode) return undefined;
    return this.disks.get(volumeId)?.content;
  }

  #writes(volumeId: string): boolean {
    return [...this.guests.values()].some((guest) => guest.running && guest.volume === volumeId);
  }

  #offers(volumeId: string): boolean {
    const wanted = this.wanted?.volumes.find((volume) => volume.id === volumeId);
    return wanted?.presence === "present" && wanted.access === "offer" && this.disks.get(volumeId)?.digested === true;
  }

  #boot(guest: Guest): Action | undefined {
    if (!guest.running || guest.healthy || this.sick) return undefined;
    return () => (guest.healthy = true);
  }

  #instanceAction(wanted: WantedInstance): Action | undefined {
    const { id, epoch, generation, rebootGeneration: reboots } = wanted;
    const guest = this.guests.get(id);
    const { rootVolume: volume, devices = [] } = wanted;
    const disk = this.disks.get(volume);
    const stage = wanted.lease === undefined ? "held" : leaseStage(this.#lease.ageSeconds, wanted.lease.seconds);
    if (guest?.running === true && stage !== "held") return () => (guest.running = false);
    if (guest?.running === true && (wanted.presence === "absent" || wanted.power === "stopped"))
      return () => (guest.running = false);
    if (wanted.presence === "absent") return guest === undefined ? undefined : () => this.guests.delete(id);
    if (guest?.running === true && guest.reboots < reboots)
      return () => Object.assign(guest, { healthy: false, reboots });
    if (guest?.running === true && guest.generation < generation) return () => (guest.generation = generation);
    if (guest?.running === true || disk?.whole !== true) return undefined;
    if (wanted.power === "stopped") {
      if (guest?.epoch === epoch && guest.generation === generation) return undefined;
      return () => this.guests.set(id, { volume, epoch, generation, running: false, healthy: false, reboots, devices });
    }
    if (stage !== "held") return undefined;
    return () => {
      this.guests.set(id, { volume, epoch, generation, running: true, healthy: false, reboots, devices });
      disk.content += `${this.name}${++this.#written} `;
      disk.digested = false;
    };
  }

  #volumeAction(wanted: WantedVolume): Action | undefined {
    const { id, epoch } = wanted;
    const disk = this.disks.get(id);
    if (wanted.presence === "absent")
      return disk === undefined || this.#writes(id) ? undefined : () => this.disks.delete(id);
    if (disk === undefined) return this.#making(wanted);
    const isOther = wanted.origin.kind === "import" && disk.ticket !== wanted.origin.ticket;
    if (!disk.whole || isOther) return this.#pulling(wanted, disk);
    if (disk.epoch < epoch) return () => (disk.epoch = epoch);
    return wanted.access === "offer" && !disk.digested ? () => (disk.digested = true) : undefined;
  }

  #making({ id, epoch, origin }: WantedVolume): Action | undefined {
    if (origin.kind === "existing") return undefined;
    const imported = origin.kind === "import";
    const disk = {
      epoch,
      content: imported ? "" : "image ",
      whole: !imported,
      digested: false,
      ...(imported ? { ticket: origin.ticket } : {}),
    };
    return () => this.disks.set(id, disk);
  }

  /** A few letters at a time, so that it can be cut in the middle. */
  #pulling({ id, epoch, origin }: WantedVolume, disk: Disk): Action | undefined {
    if (origin.kind !== "import") return undefined;
    if (disk.ticket !== origin.ticket)
      return () => Object.assign(disk, { content: "", whole: false, digested: false, ticket: origin.ticket, epoch });
    const source = this.#fetch(origin.fromNode, id, origin.ticket, this.id);
    if (source === undefined) return undefined;
    return () => {
      if (!source.startsWith(disk.content)) disk.content = "";
      disk.content = source.slice(0, disk.content.length + 8);
      if (disk.content !== source) return;
      if (this.garbles) disk.content = source.toUpperCase();
      Object.assign(disk, { whole: true, digested: true, epoch });
    };
  }
}

function digestOf(content: string): string {
  return `sha256:${Buffer.from(content).toString("hex").padEnd(64, "0").slice(-64)}`;
}
