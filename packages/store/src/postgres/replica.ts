import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { SkerryError } from "@skerry/model";
import type { ObjectStore } from "../object-store.ts";
import type { ReplicatedStore, Role } from "../replicated-store.ts";
import { ConnectionLost, type Connection } from "./connection.ts";
import { LeaderWatch } from "./leader-watch.ts";
import {
  readLeadership,
  renewLeadership,
  resignLeadership,
  takeLeadership,
  type Candidate,
  type Leadership,
} from "./leadership.ts";
import { isDiskFull, type PostgresLog } from "./postgres-log.ts";

/** How often replicas look and leaders show that they live, and how long a silent leader is left in peace. */
export interface Pace {
  readonly pollMs: number;
  readonly renewMs: number;
  readonly takeOverMs: number;
}

export interface ReplicaParts {
  readonly store: ObjectStore;
  readonly log: PostgresLog;
  /** For looking at the leadership and taking it; its own, so that a slow commit does not look like death. */
  readonly connection: Connection;
  readonly candidate: Candidate;
  readonly pace: Pace;
  /** Milliseconds of a clock that never jumps and counts suspended time; the log's too. */
  readonly monotonicMs: () => number;
}

const followPage = 1000;

/** Gives a store its role, and changes it: follows the log while another leads, leads when nobody does. */
export class Replica {
  readonly #parts: ReplicaParts;
  readonly #watch: LeaderWatch;
  readonly #listeners = new Set<(role: Role) => void>();
  readonly #stopping = new AbortController();
  #role: Role = { kind: "follower", leader: undefined };
  #running: Promise<void> | undefined;
  #lastSignMs = 0;

  constructor(parts: ReplicaParts) {
    this.#parts = parts;
    const { takeOverMs } = parts.pace;
    this.#watch = new LeaderWatch(takeOverMs, takeOverMs);
  }

  get role(): Role {
    return this.#role;
  }

  /** Whether nobody else can have led for longer than a take-over takes: also right after this process was stopped or its machine suspended. */
  get surelyLeads(): boolean {
    return this.#role.kind === "leader" && this.#silentMs() <= 2 * this.#parts.pace.takeOverMs;
  }

  onRole(listener: (role: Role) => void): () => void {
    const own = (role: Role): void => listener(role);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Takes nothing more, and resigns where it leads, so that another need not wait. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const quiet = this.#parts.store.pause(closing());
    await this.#running;
    await quiet;
    if (this.#role.kind === "leader") await this.#resign(this.#role.epoch);
    await this.#parts.connection.close();
  }

  /** Where the database can't be reached the others notice by themselves. */
  async #resign(epoch: number): Promise<void> {
    await resignLeadership(this.#parts.connection, epoch).catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { pace } = this.#parts;
    while (!signal.aborted && this.#role.kind !== "lost") {
      try {
        await (this.#role.kind === "leader" ? this.#lead(this.#role.epoch) : this.#look());
      } catch (error) {
        if (!isOfDatabase(error)) {
          this.#become({ kind: "lost", cause: lost(error) });
          return;
        }
        // The database can't be reached. A follower goes on looking; a leader gives up later than others might take over,
        // since its commits are fenced anyway and the database may only have been restarted. Where the disk is full nobody
        // can take over, and it goes on telling so.
        this.#watch.reset();
        if (this.#role.kind === "leader" && this.#silentMs() > 2 * pace.takeOverMs && !isDiskFull(error))
          await this.#follow(cutOff);
      }
      const waitMs = this.#role.kind === "leader" ? pace.renewMs : pace.pollMs;
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async #lead(epoch: number): Promise<void> {
    const { failure, paused } = this.#parts.store;
    if (failure !== undefined) throw failure;
    // A commit whose fate is open may still come in: under a new epoch it can't.
    if (paused !== undefined && !this.#stopping.signal.aborted) return this.#follow(() => paused);
    const askedMs = this.#parts.monotonicMs();
    if (await renewLeadership(this.#parts.connection, epoch)) this.#lastSignMs = askedMs;
    else await this.#follow(deposed);
  }

  async #look(): Promise<void> {
    const { connection, candidate, monotonicMs } = this.#parts;
    const seen = await readLeadership(connection);
    await this.#catchUp();
    if (this.#stopping.signal.aborted) return;
    // One that stepped down for a while may find its own leadership where it left it.
    const isFree = this.#watch.isGone(seen, monotonicMs()) || seen.holder === candidate.id;
    if (!isFree) return this.#note(seen);
    const askedMs = monotonicMs();
    const epoch = await takeLeadership(connection, seen, candidate);
    if (epoch === undefined) return;
    // Nobody can add to the log any more: what is in it now is all there is.
    await this.#catchUp();
    await this.#parts.log.lead(epoch);
    if (this.#stopping.signal.aborted) return this.#resign(epoch);
    this.#parts.store.resume();
    this.#lastSignMs = askedMs;
    this.#become({ kind: "leader", epoch });
  }

  async #catchUp(): Promise<void> {
    const { store, log } = this.#parts;
    for (;;) {
      const events = await log.readOnce(store.revision, followPage);
      store.follow(events);
      if (events.length < followPage) return;
    }
  }

  /** Stops leading: first nothing more is taken and what is in flight ends, then the world is told. */
  async #follow(cause: () => SkerryError): Promise<void> {
    this.#watch.reset();
    await this.#parts.store.pause(cause());
    this.#become({ kind: "follower", leader: undefined });
  }

  #note({ epoch, url, holder }: Leadership): void {
    const known = this.#role.kind === "follower" ? this.#role.leader : undefined;
    if (holder === "" || (known?.epoch === epoch && known.url === url)) return;
    this.#become({ kind: "follower", leader: { epoch, url } });
  }

  #become(role: Role): void {
    this.#role = role;
    for (const listener of this.#listeners) listener(role);
  }

  #silentMs(): number {
    return this.#parts.monotonicMs() - Math.max(this.#lastSignMs, this.#parts.log.lastCommitMs);
  }
}

/** The store's own methods beside the replica's: what the rest of Skerry sees. */
export function replicated(store: ObjectStore, replica: Replica): ReplicatedStore {
  return {
    zoneId: store.zoneId,
    get revision() {
      return store.revision;
    },
    get role() {
      return replica.role;
    },
    get surelyLeads() {
      return replica.surelyLeads;
    },
    get: (kind, key) => store.get(kind, key),
    getById: (kind, id) => store.getById(kind, id),
    list: (kind, project) => store.list(kind, project),
    scan: (kind) => store.scan(kind),
    plains: (kind, visit) => store.plains(kind, visit),
    notables: (kind) => store.notables(kind),
    transact: (work, note) => store.transact(work, note),
    audit: store.audit,
    rehearse: (work) => store.rehearse(work),
    changes: (since, signal) => store.changes(since, signal),
    subscribe: (listener) => store.subscribe(listener),
    documents: store.documents,
    track: (tracker) => store.track(tracker),
    onRole: (listener) => replica.onRole(listener),
    async close() {
      await replica.stop();
      await store.close();
    },
  };
}

const askAgain = "Ask again: any replica passes it on to the one that leads.";

export function following(): SkerryError {
  return new SkerryError("unavailable", "This replica follows; it takes no changes.", { remedy: askAgain });
}

function deposed(): SkerryError {
  return new SkerryError("unavailable", "Another replica leads now.", { remedy: askAgain });
}

function cutOff(): SkerryError {
  return new SkerryError("unavailable", "This replica can't reach its database.", {
    remedy: "Check PostgreSQL and the network to it; Skerry goes on by itself then.",
  });
}

function isOfDatabase(error: unknown): boolean {
  return error instanceof ConnectionLost || error instanceof pg.DatabaseError;
}

function lost(error: unknown): SkerryError {
  if (error instanceof SkerryError) return error;
  return new SkerryError("unavailable", `This replica lost its place in the log: ${(error as Error).message}.`, {
    remedy: "Start it again.",
    cause: error,
  });
}

function closing(): SkerryError {
  return new SkerryError("unavailable", "The store is closed.");
}
