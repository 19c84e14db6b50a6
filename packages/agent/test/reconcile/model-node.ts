import { Readable } from "node:stream";
import { SkerryError } from "@skerry/model";
import type { WantedState } from "@skerry/protocol";
import type { Guest, GuestDefinition } from "../../src/drivers/compute.ts";
import type { Drivers } from "../../src/drivers/drivers.ts";
import type { NetworkState } from "../../src/drivers/network.ts";
import type { VolumeFile } from "../../src/drivers/volume.ts";
import { openJournalFile } from "../../src/journal/journal.ts";
import type { Journal } from "../../src/journal/journal.ts";
import type { LeaseView } from "../../src/leases/lease-keeper.ts";
import { apply } from "../../src/reconcile/apply.ts";
import type { WorkingMemory } from "../../src/reconcile/apply.ts";
import { plan } from "../../src/reconcile/plan.ts";
import { ProgressBook } from "../../src/reconcile/progress.ts";
import type { Situation } from "../../src/reconcile/situation.ts";

/** The agent's process died here. */
export class Crash extends Error {}

type Call = { readonly what: string; readonly id: string };

interface ModelDisk {
  state: "partial" | "ready";
  epoch: number;
  /** Changes with each import and each run that may write. */
  content: string;
  /** What it was made from, whatever was written since. */
  lineage: string;
}

/**
 * A node in memory: drivers that change maps, and the real plan, actions and journal over them. Each change can be made the
 * last one before a crash, or the first one that a crash prevents; `violations` says what must never have happened.
 */
export class ModelNode {
  readonly journal: Journal = openJournalFile(":memory:");
  readonly guests = new Map<string, Guest & { definition: GuestDefinition }>();
  readonly disks = new Map<string, ModelDisk>();
  readonly networks = new Map<string, NetworkState>();
  readonly calls: Call[] = [];
  readonly violations: string[] = [];
  /** Digests that a source would tell, by ticket; none there: the source can't be reached. */
  readonly offered = new Map<string, string>();
  nowMs = 1_000_000;
  leases: LeaseView = { ageSeconds: 0, unguarded: undefined };
  /** Changes of the world until the crash; undefined for none. */
  crashIn: number | undefined;
  crashesAfter = false;
  #memory: WorkingMemory = freshMemory();
  #death = new AbortController();
  readonly #highestStarted = new Map<string, number>();

  /** Dies and comes back: only the journal and the world remain. */
  restart(): void {
    this.#memory = freshMemory();
    this.#death = new AbortController();
    this.crashIn = undefined;
  }

  accept(wanted: WantedState): void {
    this.journal.accept(wanted);
  }

  situation(): Situation | undefined {
    const wanted = this.journal.wanted();
    if (wanted === undefined) return undefined;
    const volumes = [...this.disks].map(([id, { state, epoch }]): [string, VolumeFile] => [
      id,
      { id, state, epoch, usedBytes: 1 },
    ]);
    return {
      wanted,
      seen: { guests: new Map(this.guests), volumes: new Map(volumes), networks: new Map(this.networks) },
      journal: this.journal,
      memory: this.#memory,
      settings: { stopGraceMs: 30_000, overlayListenPort: 51_820 },
      leases: this.leases,
      nowMs: this.nowMs,
    };
  }

  /** One look, one plan, and every action that is due, one after the other. @returns how many actions there were */
  async pass(): Promise<number> {
    const situation = this.situation();
    if (situation === undefined) return 0;
    let done = 0;
    for (const { next } of plan(situation).values()) {
      if (next === undefined || (next.notBeforeMs ?? 0) > this.nowMs) continue;
      // Actions of one look that touch the same object are not all done: what follows was seen before.
      done += 1;
      try {
        await apply(next.action, this.#deps(), this.#death.signal);
      } catch (error) {
        this.#death.signal.throwIfAborted();
        this.calls.push({ what: `failed: ${error instanceof Error ? error.message : ""}`, id: next.object });
      }
      if (next.alsoHolds.length > 0) break;
    }
    return done;
  }

  /** Passes until nothing is left to do now or later; gives false where that does not happen. */
  async settle(limit = 60): Promise<boolean> {
    for (let count = 0; count < limit; count += 1) {
      if ((await this.pass()) === 0 && !this.#waits()) return true;
      this.nowMs += 10_000;
      this.#endAskedGuests();
    }
    return false;
  }

  #waits(): boolean {
    const situation = this.situation();
    return situation !== undefined && [...plan(situation).values()].some(({ next }) => next !== undefined);
  }

  /** Guests that were asked to shut down have done so. */
  #endAskedGuests(): void {
    for (const [id, guest] of this.guests) {
      if (guest.state === "stopping") this.endGuest(id);
    }
  }

  endGuest(id: string): void {
    const guest = this.guests.get(id);
    if (guest === undefined || guest.state === "stopped") return;
    const { startedAtMs: _gone, ...rest } = guest;
    this.guests.set(id, { ...rest, state: "stopped" });
  }

  #change(what: string, id: string, change: () => void): void {
    if (this.crashIn === 0 && !this.crashesAfter) this.#die();
    this.calls.push({ what, id });
    change();
    if (this.crashIn === 0) this.#die();
    if (this.crashIn !== undefined) this.crashIn -= 1;
  }

  /** Nothing that the process would do after its death may happen: whoever catches this finds the signal aborted. */
  #die(): never {
    const crash = new Crash();
    this.#death.abort(crash);
    throw crash;
  }

  #deps() {
    const { journal } = this;
    const source = {
      describe: async (_peer: unknown, _id: string, ticket: string) => {
        const digest = this.offered.get(ticket);
        if (digest === undefined) throw new SkerryError("host-unreachable", "nobody offers it");
        return { sizeBytes: 10, digest };
      },
      read: async () => Readable.from([Buffer.alloc(10)]),
    };
    const images = { get: async () => "/image" };
    const wanted = () => journal.wanted();
    const progress = new ProgressBook(() => undefined);
    return {
      drivers: this.#drivers(),
      journal,
      images,
      source,
      progress,
      memory: this.#memory,
      wanted,
      nowMs: () => this.nowMs,
      random: () => 0.5,
    };
  }

  #drivers(): Drivers {
    const disk = (id: string): ModelDisk => {
      const found = this.disks.get(id);
      if (found === undefined) throw new SkerryError("not-found", `no ${id}`);
      return found;
    };
    const make = (id: string, epoch: number, content: string): void => {
      const found = this.disks.get(id);
      if (found?.state === "ready") return;
      this.#change("make", id, () => this.disks.set(id, { state: "ready", epoch, content, lineage: content }));
    };
    const never = (): never => {
      throw new Error("not part of the model");
    };
    return {
      compute: {
        name: "simulated",
        probe: never,
        list: never,
        define: async (definition) => {
          if (this.guests.get(definition.id)?.state === "running")
            this.violations.push(`redefined running ${definition.id}`);
          const { id, epoch, generation } = definition;
          this.#change("define", id, () =>
            this.guests.set(id, { id, epoch, generation, state: "stopped", definition }),
          );
        },
        start: async (id) => this.#start(id),
        shutdown: async (id) => {
          const guest = this.guests.get(id);
          if (guest?.state !== "running") return;
          this.#mayStop(id);
          this.#change("shutdown", id, () => this.guests.set(id, { ...guest, state: "stopping" }));
        },
        kill: async (id) => {
          if (this.guests.get(id)?.state === "stopped" || !this.guests.has(id)) return;
          this.#mayStop(id);
          this.#change("kill", id, () => this.endGuest(id));
        },
        undefine: async (id) => {
          if (this.guests.has(id)) this.#change("undefine", id, () => this.guests.delete(id));
        },
        console: never,
        consoleLog: never,
        dial: never,
        onChange: () => () => undefined,
      },
      volume: {
        name: "simulated",
        list: never,
        createBlank: async (id, epoch) => make(id, epoch, "blank"),
        createFromImage: async (id, epoch) => make(id, epoch, "image"),
        grow: async (id) => this.#change("grow", id, () => void disk(id)),
        setEpoch: async (id, epoch) => {
          if (epoch < disk(id).epoch) this.violations.push(`lowered the epoch of ${id}`);
          this.#change("epoch", id, () => (disk(id).epoch = epoch));
        },
        attachment: (id) => ({ path: `/volumes/${id}`, format: "raw" }),
        read: never,
        digest: async (id) => `digest of ${disk(id).content}`,
        importOffset: async (id, epoch) => {
          if (this.disks.get(id)?.state === "ready") throw new SkerryError("conflict", "it is whole");
          if (!this.disks.has(id))
            this.#change("begin import", id, () =>
              this.disks.set(id, { state: "partial", epoch, content: "partial", lineage: "partial" }),
            );
          return disk(id).content === "arrived" ? 10 : 0;
        },
        importWrite: async (id, _offset, stream) => {
          for await (const _chunk of stream) void _chunk;
          this.#change("import", id, () => (disk(id).content = "arrived"));
          return 10;
        },
        importComplete: async (id, digest) => {
          this.#change("complete", id, () =>
            this.disks.set(id, { ...disk(id), state: "ready", content: digest, lineage: digest }),
          );
        },
        remove: async (id) => this.#removeDisk(id),
      },
      network: {
        name: "simulated",
        publicKey: never,
        ensureOverlay: async () => this.#change("overlay", "overlay", () => undefined),
        ensureNetwork: async ({ id }) => {
          const state = { id, bridge: "br", mtu: 1370 };
          this.#change("network", id, () => this.networks.set(id, state));
          return state;
        },
        list: never,
        removeNetwork: async (id) => this.#change("remove network", id, () => this.networks.delete(id)),
      },
      devices: never,
      guard: { missing: never, set: never, clear: never, guarded: never, anchorSeconds: undefined, keepAnchor: never },
      [Symbol.dispose]: () => undefined,
    };
  }

  /** What must hold whenever a guest starts, said anew and from the wishes alone. */
  #start(id: string): void {
    const guest = this.guests.get(id);
    if (guest === undefined) throw new SkerryError("node-driver-failed", "it is not defined");
    if (guest.state !== "stopped") return;
    const wanted = this.journal.wanted();
    const order = wanted?.instances.find((each) => each.id === id);
    const volume = wanted?.volumes.find((each) => each.id === order?.rootVolume);
    const disk = this.disks.get(order?.rootVolume ?? "");
    const must = (holds: boolean, what: string): void => {
      if (!holds) this.violations.push(`started ${id} at epoch ${guest.epoch} although ${what}`);
    };
    must(order?.presence === "present" && order.power === "running", "it is not wanted running");
    must(volume?.presence === "present" && volume.access === "write", "its disk may not be written");
    must(
      order?.epoch === guest.epoch && volume?.epoch === guest.epoch && disk?.epoch === guest.epoch,
      "the epochs differ",
    );
    must(disk?.state === "ready", "its disk is not whole");
    must(order?.lease === undefined || this.#holds(order.lease.seconds), "it holds no lease");
    must(guest.epoch >= (this.#highestStarted.get(id) ?? 0), "a later epoch ran");
    must(
      guest.epoch >= this.journal.instance(id).epoch &&
        guest.epoch >= this.journal.volume(order?.rootVolume ?? "").epoch,
      "a later epoch was ordered",
    );
    this.#change("start", id, () => {
      this.#highestStarted.set(id, guest.epoch);
      if (disk !== undefined) disk.content = `written by ${id} at ${this.nowMs}`;
      this.guests.set(id, { ...guest, state: "running", startedAtMs: this.nowMs });
    });
  }

  /** Said anew: a lease of so many seconds is used for no more than nine tenths of them, less three. */
  #holds(seconds: number): boolean {
    return this.leases.ageSeconds < seconds * 0.9 - 3 && this.leases.unguarded === undefined;
  }

  #mayStop(id: string): void {
    const wanted = this.journal.wanted();
    const order = wanted?.instances.find((each) => each.id === id);
    const volume = wanted?.volumes.find((each) => each.id === order?.rootVolume);
    const reboots = (order?.rebootGeneration ?? 0) > this.journal.instance(id).rebootGeneration;
    const imported = volume?.origin.kind === "import";
    const asked =
      order?.presence === "absent" ||
      order?.power === "stopped" ||
      reboots ||
      imported ||
      (order?.lease !== undefined && !this.#holds(order.lease.seconds)) ||
      (volume !== undefined && (volume.access !== "write" || volume.presence === "absent"));
    if (order === undefined || !asked) this.violations.push(`stopped ${id} although nothing asks for it`);
  }

  #removeDisk(id: string): void {
    const disk = this.disks.get(id);
    if (disk === undefined) return;
    const order = this.journal.wanted()?.volumes.find((each) => each.id === id);
    const replaced = order?.origin.kind === "import" && order.presence === "present";
    if (order === undefined || !(order.presence === "absent" || replaced))
      this.violations.push(`removed ${id} although nothing asks for it`);
    if (order !== undefined && order.epoch < disk.epoch)
      this.violations.push(`removed ${id} by an order of an older epoch`);
    for (const guest of this.guests.values()) {
      if (guest.state !== "stopped" && guest.definition.disks[0]?.path === `/volumes/${id}`)
        this.violations.push(`removed ${id} under ${guest.id}`);
    }
    this.#change("remove", id, () => this.disks.delete(id));
  }
}

function freshMemory(): WorkingMemory {
  return { appliedOverlay: undefined, appliedNetworks: new Map(), starts: new Map() };
}
