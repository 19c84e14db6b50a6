import type { Log } from "../log.ts";
import { retryDelayMs } from "../retry-delay.ts";
import type { Action, ObjectKey, PlannedAction } from "./action.ts";
import { isSlow } from "./action.ts";
import { failureOf } from "./observe.ts";
import type { Failure } from "./observe.ts";

interface Running {
  readonly planned: PlannedAction;
  readonly controller: AbortController;
  readonly ended: Promise<void>;
  /** The newest wanted revision that still asks for it. */
  revision: number;
}

interface Backoff extends Failure {
  readonly failures: number;
  readonly notBeforeMs: number;
}

export interface WorkDeps {
  readonly apply: (action: Action, signal: AbortSignal) => Promise<void>;
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly log: Log;
  /** Called after each end of an action. */
  readonly onEnd: () => void;
}

/** Actions at once: slow ones (downloads, imports, digests) have a lane of their own and never hold up the quick. */
const lanes = { slow: 4, quick: 8 };
/** A quick action that takes longer is given up on; a hypervisor that hangs then holds up its own object only. */
const quickDeadlineMs = 60_000;
/** Transfers wait for other nodes, which may be ready at any moment; what else fails has mostly to be mended first. */
const retry = { minMs: 1000, transferMaxMs: 8000, maxMs: 60_000 };

/** The actions under way: at most one per object, none on what another holds, each object with its own backoff. */
export class Work {
  readonly #deps: WorkDeps;
  readonly #running = new Set<Running>();
  readonly #held = new Map<ObjectKey, Running>();
  readonly #backoffs = new Map<ObjectKey, Backoff>();
  /** Counts looks at the world and ends of actions, so that no action follows from a look that is older than it. */
  #sequence = 0;
  readonly #releasedAt = new Map<ObjectKey, number>();

  constructor(deps: WorkDeps) {
    this.#deps = deps;
  }

  /** To be called before the world is looked at, one look after the other; what it gives is passed to `begin`. */
  beginLook(): number {
    this.#sequence += 1;
    // This look is newer than all of these ends, and an older one is used no more.
    this.#releasedAt.clear();
    return this.#sequence;
  }

  runningOn(object: ObjectKey): Action["kind"] | undefined {
    const running = this.#held.get(object);
    return running?.planned.object === object ? running.planned.action.kind : undefined;
  }

  isHeld(object: ObjectKey): boolean {
    return this.#held.has(object);
  }

  failure(object: ObjectKey): Failure | undefined {
    return this.#backoffs.get(object);
  }

  /** The oldest wanted revision that an action under way follows from; undefined where none is under way. */
  oldestRevision(): number | undefined {
    return this.#running.size === 0 ? undefined : Math.min(...[...this.#running].map((running) => running.revision));
  }

  /**
   * Begins an action unless something is in its way, and gives when to try again (ms since 1970) where time alone is.
   * @param look what `beginLook` gave before the world was seen that the action follows from
   */
  begin(planned: PlannedAction, look: number, revision: number, parent: AbortSignal): number | undefined {
    const keys = [planned.object, ...planned.alsoHolds];
    const stale = keys.some((key) => this.#held.has(key) || (this.#releasedAt.get(key) ?? 0) > look);
    if (stale || this.#isLaneFull(planned.action)) return undefined;
    const dueMs = Math.max(planned.notBeforeMs ?? 0, this.#backoffs.get(planned.object)?.notBeforeMs ?? 0);
    if (dueMs > this.#deps.nowMs()) return dueMs;
    this.#start(planned, keys, revision, parent);
    return undefined;
  }

  /**
   * Takes note of a newer wish: slow actions whose object's wish changed are ended, and what is still asked for counts
   * as asked for by the new revision.
   */
  supersede(revision: number, isChanged: (object: ObjectKey) => boolean): void {
    for (const object of this.#backoffs.keys()) {
      if (isChanged(object)) this.#backoffs.delete(object);
    }
    for (const running of this.#running) {
      const { planned, controller } = running;
      if (![planned.object, ...planned.alsoHolds].some(isChanged)) running.revision = revision;
      else if (isSlow(planned.action)) controller.abort(new Error("it is no longer wanted as it was"));
    }
  }

  /** Lets everything that waits after a failure be tried at once, as when the server came back. */
  retryNow(): void {
    for (const [object, backoff] of this.#backoffs) this.#backoffs.set(object, { ...backoff, notBeforeMs: 0 });
  }

  /** Waits until nothing is under way; aborting the parent signal hastens it. */
  async settled(): Promise<void> {
    await Promise.all([...this.#running].map((running) => running.ended));
  }

  #isLaneFull(action: Action): boolean {
    const slow = isSlow(action);
    const busy = [...this.#running].filter((running) => isSlow(running.planned.action) === slow).length;
    return busy >= (slow ? lanes.slow : lanes.quick);
  }

  #start(planned: PlannedAction, keys: readonly ObjectKey[], revision: number, parent: AbortSignal): void {
    const { action } = planned;
    const controller = new AbortController();
    const deadline = isSlow(action) ? [] : [AbortSignal.timeout(quickDeadlineMs)];
    const signal = AbortSignal.any([parent, controller.signal, ...deadline]);
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const running: Running = { planned, controller, ended, revision };
    this.#running.add(running);
    for (const key of keys) this.#held.set(key, running);
    // The call is made at once, so that nothing can change between the plan and the beginning of the action.
    void this.#deps
      .apply(action, signal)
      .then(
        () => this.#backoffs.delete(planned.object),
        (error: unknown) => {
          if (!parent.aborted && !controller.signal.aborted) this.#fail(planned, error);
        },
      )
      .finally(() => {
        this.#running.delete(running);
        this.#sequence += 1;
        for (const key of keys) {
          this.#held.delete(key);
          this.#releasedAt.set(key, this.#sequence);
        }
        end();
        this.#deps.onEnd();
      });
  }

  #fail(planned: PlannedAction, error: unknown): void {
    const { object, action } = planned;
    const { nowMs, random, log } = this.#deps;
    const failures = (this.#backoffs.get(object)?.failures ?? 0) + 1;
    const failure = failureOf(error);
    // Each try at a full disk may write for minutes in vain.
    const maxMs = isSlow(action) && failure.code !== "storage-full" ? retry.transferMaxMs : retry.maxMs;
    const delayMs = retryDelayMs(failures, retry.minMs, maxMs, random());
    this.#backoffs.set(object, { ...failure, failures, notBeforeMs: nowMs() + delayMs });
    log.warn({ object, action: action.kind, failures, retryInMs: delayMs, error }, "an action failed");
  }
}
