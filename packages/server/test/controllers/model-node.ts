import type { NodeFacts } from "@skerry/model";
import type { ObservedState, WantedInstance, WantedState, WantedVolume } from "@skerry/protocol";

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
  epoch: number;
  generation: number;
  running: boolean;
  healthy: boolean;
}

/** Where another node's offered disk is read. */
export type Fetch = (fromNode: string, volumeId: string, ticket: string, toNode: string) => string | undefined;

/**
 * A host with an agent that follows wanted states, one small action at a time. It keeps the protocol's promises (the wish is
 * journalled before anything follows from it, older wishes are ignored) and is otherwise naive: it starts whatever it
 * is told to run, whatever the epoch or access says, so that exactly one copy is the server's doing.
 */
export class ModelNode {
  readonly id: string;
  readonly name: string;
  /** Guests here never become healthy. */
  sick = false;
  /** The agent's process; guests live without it. */
  alive = true;
  linked = false;
  wanted: WantedState | undefined;
  readonly disks = new Map<string, Disk>();
  readonly guests = new Map<string, Guest>();
  readonly #fetch: Fetch;
  #writes = 0;

  constructor(id: string, name: string, fetch: Fetch) {
    this.id = id;
    this.name = name;
    this.#fetch = fetch;
  }

  get runs(): boolean {
    return [...this.guests.values()].some((guest) => guest.running);
  }

  /** Journals a wish. */
  take(wanted: WantedState): void {
    if (this.wanted !== undefined && wanted.revision < this.wanted.revision) return;
    this.wanted = wanted;
  }

  /** The host loses power and comes back: guests are down, the journal and the disks are there. */
  reboot(): void {
    for (const guest of this.guests.values()) guest.running = false;
    this.alive = true;
    this.linked = false;
  }

  /** Does one thing that brings it nearer to its journal's wish. Returns whether there was anything to do. */
  act(): boolean {
    if (!this.alive || this.wanted === undefined) return false;
    for (const guest of this.guests.values()) {
      if (!guest.running || guest.healthy || this.sick) continue;
      guest.healthy = true;
      return true;
    }
    return this.wanted.instances.some((instance) => this.#actOnInstance(instance)) || this.wanted.volumes.some((volume) => this.#actOnVolume(volume));
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
        rebootGeneration: 0,
      })),
    };
  }

  /** The content of a disk that it offers to the asker under this ticket. */
  serve(volumeId: string, ticket: string, toNode: string): string | undefined {
    const offer = this.wanted?.volumes.find((volume) => volume.id === volumeId)?.offeredTo;
    if (!this.alive || !this.#offers(volumeId) || offer?.ticket !== ticket || offer.nodeId !== toNode) return undefined;
    return this.disks.get(volumeId)?.content;
  }

  #offers(volumeId: string): boolean {
    const wanted = this.wanted?.volumes.find((volume) => volume.id === volumeId);
    return wanted?.presence === "present" && wanted.access === "offer" && this.disks.get(volumeId)?.digested === true && !this.runs;
  }

  #actOnInstance(wanted: WantedInstance): boolean {
    const guest = this.guests.get(wanted.id);
    if (wanted.presence === "absent") {
      if (guest === undefined) return false;
      if (guest.running) guest.running = false;
      else this.guests.delete(wanted.id);
      return true;
    }
    const disk = this.disks.get(wanted.rootVolume);
    if (wanted.power === "stopped") {
      if (guest?.running === true) {
        guest.running = false;
        return true;
      }
      if (disk?.whole !== true || guest?.epoch === wanted.epoch) return false;
      this.guests.set(wanted.id, { epoch: wanted.epoch, generation: wanted.generation, running: false, healthy: false });
      return true;
    }
    if (guest?.running === true || disk?.whole !== true) return false;
    this.guests.set(wanted.id, { epoch: wanted.epoch, generation: wanted.generation, running: true, healthy: false });
    disk.content += `${this.name}${++this.#writes} `;
    disk.digested = false;
    return true;
  }

  #actOnVolume(wanted: WantedVolume): boolean {
    const { id } = wanted;
    const disk = this.disks.get(id);
    if (wanted.presence === "absent") return !this.runs && this.disks.delete(id);
    if (disk === undefined) return this.#make(wanted);
    if (!disk.whole) return this.#pull(wanted, disk);
    if (disk.epoch < wanted.epoch) {
      disk.epoch = wanted.epoch;
      return true;
    }
    if (wanted.access === "offer" && !disk.digested && !this.runs) {
      disk.digested = true;
      return true;
    }
    return false;
  }

  #make(wanted: WantedVolume): boolean {
    const { id, epoch, origin } = wanted;
    if (origin.kind === "existing") return false;
    const imported = origin.kind === "import";
    const content = imported ? "" : "image ";
    this.disks.set(id, { epoch, content, whole: !imported, digested: false, ...(imported ? { ticket: origin.ticket } : {}) });
    return true;
  }

  /** A few letters at a time, so that it can be cut in the middle. */
  #pull(wanted: WantedVolume, disk: Disk): boolean {
    const { origin } = wanted;
    if (origin.kind !== "import") return false;
    if (disk.ticket !== origin.ticket) {
      Object.assign(disk, { content: "", ticket: origin.ticket, epoch: wanted.epoch });
      return true;
    }
    const source = this.#fetch(origin.fromNode, wanted.id, origin.ticket, this.id);
    if (source === undefined) return false;
    if (!source.startsWith(disk.content)) disk.content = "";
    disk.content = source.slice(0, disk.content.length + 4);
    if (disk.content === source) Object.assign(disk, { whole: true, digested: true, epoch: wanted.epoch });
    return true;
  }
}

function digestOf(content: string): string {
  return `sha256:${Buffer.from(content).toString("hex").padEnd(64, "0").slice(-64)}`;
}
