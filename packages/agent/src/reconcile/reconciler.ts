import type { ObservedInstance, WantedState } from "@skerry/protocol";
import type { VolumeSource } from "../data-plane/source.ts";
import type { Drivers } from "../drivers/drivers.ts";
import type { Images } from "../images/image-cache.ts";
import type { Journal } from "../journal/journal.ts";
import type { LeaseView } from "../leases/lease-keeper.ts";
import type { Log } from "../log.ts";
import { volumeKey } from "./action.ts";
import { apply } from "./apply.ts";
import type { WorkingMemory } from "./apply.ts";
import { observe } from "./observe.ts";
import type { ObservedObjects } from "./observe.ts";
import { OfferBook, isStillOffered, offersOf } from "./offers.ts";
import { plan } from "./plan.ts";
import type { ObjectPlan } from "./plan.ts";
import { ProgressBook } from "./progress.ts";
import type { Seen, Settings, Situation } from "./situation.ts";
import { UnkeptWish } from "./unkept-wish.ts";
import { WakeUp } from "./wake-up.ts";
import { wishesOf } from "./wishes.ts";
import { Work } from "./work.ts";

export interface ReconcilerDeps {
  readonly drivers: Drivers;
  readonly journal: Journal;
  readonly images: Images;
  readonly source: VolumeSource;
  readonly settings: Settings;
  /** How often to look without being told that something changed. */
  readonly pollMs: number;
  readonly leases: () => LeaseView;
  readonly health: (instanceId: string) => ObservedInstance["health"];
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly log: Log;
  /** Called after each wish that is in the journal, before anything follows from it. */
  readonly onKept: () => void;
  /** Called when the report may have changed, and with the moment that it is made from. */
  readonly onChange: (situation: Situation | undefined) => void;
}

export interface Report extends ObservedObjects {
  readonly wantedRevision: number;
}

/** One look at the hypervisor may take this long. */
const lookDeadlineMs = 30_000;
/** A hypervisor that does not answer is asked again this soon. */
const lookAgainMs = 2000;
/** Events within this time are answered by one look. */
const gatherMs = 20;

/** Brings the node to what is wanted and keeps it there, with the server or without. */
export class Reconciler {
  readonly offers = new OfferBook();
  readonly #deps: ReconcilerDeps;
  readonly #memory: WorkingMemory = { appliedOverlay: undefined, appliedNetworks: new Map(), starts: new Map() };
  readonly #progress = new ProgressBook(() => this.#deps.onChange(this.#situation));
  readonly #work: Work;
  readonly #unkept: UnkeptWish;
  readonly #wakeUp = new WakeUp();
  #situation: Situation | undefined;
  #plans: ReadonlyMap<string, ObjectPlan> = new Map();
  /** Of the wish that was in the journal before the look that the situation is made from. */
  #lookedRevision = 0;

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
    const { drivers, journal, images, source, nowMs, random, log } = deps;
    const wanted = () => journal.wanted();
    const applyDeps = {
      drivers,
      journal,
      images,
      source,
      progress: this.#progress,
      memory: this.#memory,
      wanted,
      nowMs,
      random,
    };
    this.#work = new Work({
      apply: (action, signal) => apply(action, applyDeps, signal),
      nowMs,
      random,
      log,
      onEnd: () => this.#wakeUp.now(),
    });
    this.#unkept = new UnkeptWish({ keep: (state) => this.#keep(state), nowMs, random, log });
  }

  /**
   * Journals a wish before anything follows from it, and an older one than the journal's is ignored. One that can't be
   * journalled now is tried again until it can, or until a newer one comes.
   */
  accept(state: WantedState): void {
    this.#unkept.take(state);
    this.#wakeUp.now();
  }

  #keep(state: WantedState): void {
    const { journal, log, onKept } = this.#deps;
    const before = wishesOf(journal.wanted());
    if (!journal.accept(state)) {
      log.warn({ revision: state.revision, held: journal.wanted()?.revision }, "ignored an older wanted state");
      return;
    }
    const after = wishesOf(state);
    this.#work.supersede(state.revision, (object) => before.get(object) !== after.get(object));
    this.offers.retain((offer) => isStillOffered(offer, state));
    onKept();
  }

  /** Looks soon. */
  look(): void {
    this.#wakeUp.now();
  }

  /** Looks soon, and tries again at once what failed. */
  retryNow(): void {
    this.#work.retryNow();
    this.#unkept.retryNow();
    this.#wakeUp.now();
  }

  /** What is seen and done. Its revision is the newest of which no older wish's action is under way. */
  report(): Report {
    const situation = this.#situation;
    if (situation === undefined) return { wantedRevision: 0, networks: [], volumes: [], instances: [] };
    const objects = observe(situation, {
      plans: this.#plans,
      running: (object) => this.#work.runningOn(object),
      failure: (object) => this.#work.failure(object),
      progress: (id) => (this.#work.runningOn(volumeKey(id)) === undefined ? undefined : this.#progress.get(id)),
      isOffered: (id) => this.offers.has(id),
      health: this.#deps.health,
    });
    const instances = [...objects.instances, ...this.#unkept.instances(objects.instances)];
    const wantedRevision = Math.min(this.#lookedRevision, this.#work.oldestRevision() ?? Infinity);
    return { wantedRevision, ...objects, instances };
  }

  /** Works until aborted; then ends what can be ended and leaves guests as they are. */
  async run(signal: AbortSignal): Promise<void> {
    const unsubscribe = this.#deps.drivers.compute.onChange(() => this.#wakeUp.now());
    try {
      while (!signal.aborted) {
        this.#unkept.retry();
        const dueMs = await this.#pass(signal);
        const nextMs = Math.min(dueMs ?? Infinity, this.#unkept.dueMs ?? Infinity);
        const waitMs = Math.min(this.#deps.pollMs, Math.max(0, nextMs - this.#deps.nowMs()));
        await this.#wakeUp.wait(waitMs, gatherMs, signal);
      }
    } finally {
      unsubscribe();
      await this.#work.settled();
    }
  }

  /** One look, one plan, and the actions that may begin; gives when the next of the others is due. */
  async #pass(signal: AbortSignal): Promise<number | undefined> {
    const { journal, nowMs, settings, leases, onChange } = this.#deps;
    const look = this.#work.beginLook();
    const revisionBefore = journal.wanted()?.revision;
    const seen = await this.#look(signal);
    const wanted = journal.wanted();
    if (signal.aborted || wanted === undefined) return undefined;
    const memory = this.#memory;
    const situation: Situation = { wanted, seen, journal, memory, settings, leases: leases(), nowMs: nowMs() };
    this.#plans = plan(situation);
    let dueMs: number | undefined;
    for (const { next } of this.#plans.values()) {
      const laterMs = next === undefined ? undefined : this.#work.begin(next, look, wanted.revision, signal);
      if (laterMs !== undefined) dueMs = Math.min(dueMs ?? Infinity, laterMs);
    }
    // Without both of these nothing can be said of disks and guests: the report stays that of the last good look.
    if (seen.guests !== undefined && seen.volumes !== undefined) {
      this.#situation = situation;
      this.#lookedRevision = revisionBefore ?? 0;
    } else dueMs = Math.min(dueMs ?? Infinity, nowMs() + lookAgainMs);
    this.offers.replace(offersOf(situation).filter((offer) => !this.#work.isHeld(volumeKey(offer.volumeId))));
    onChange(this.#situation);
    return dueMs;
  }

  async #look(signal: AbortSignal): Promise<Seen> {
    const { compute, volume, network } = this.#deps.drivers;
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(lookDeadlineMs)]);
    const [guests, volumes, networks] = await Promise.all([
      this.#listed("guests", compute.list(deadline)),
      this.#listed("volumes", volume.list(deadline)),
      this.#listed("networks", network.list(deadline)),
    ]);
    return { guests, volumes, networks };
  }

  async #listed<T extends { readonly id: string }>(
    what: string,
    listing: Promise<readonly T[]>,
  ): Promise<ReadonlyMap<string, T> | undefined> {
    try {
      return new Map((await listing).map((each) => [each.id, each]));
    } catch (error) {
      this.#deps.log.warn({ error }, `the node's ${what} cannot be listed`);
      return undefined;
    }
  }
}
