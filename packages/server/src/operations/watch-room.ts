import { SkerryError, type OperationResource } from "@skerry/model";
import type { Store } from "@skerry/store";
import { cancelled, tooLate, type Next, type Outcome } from "./advance.ts";
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import type { WatchStep } from "./operation-kind.ts";
import { addsNothing, type ProgressBook, type ProgressUpdate } from "./progress.ts";
import { isOver } from "./transitions.ts";
import type { Waiting, WakeRoom } from "./wake.ts";

export interface WatchRoomDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly progress: ProgressBook;
  readonly wakes: WakeRoom;
}

type Run = Extract<Next, { kind: "run" }>;

/**
 * Operations whose present step only waits. There may be tens of thousands: each costs about half a KB, and nothing at all until
 * something that it is about changes.
 */
export class WatchRoom {
  readonly #deps: WatchRoomDeps;
  readonly #resume: (operationId: string, outcome: Outcome) => void;
  readonly #watches = new Map<string, Watch>();
  /** For the earliest limit that there was when it was set; one alarm serves all. */
  #alarmMs = Number.POSITIVE_INFINITY;
  #cancelAlarm: () => void = () => {};
  readonly #asks = (watch: Watch): void => this.#ask(watch);

  /** @param resume goes on with an operation whose wait has ended */
  constructor(deps: WatchRoomDeps, resume: (operationId: string, outcome: Outcome) => void) {
    this.#deps = deps;
    this.#resume = resume;
  }

  has(operationId: string): boolean {
    return this.#watches.has(operationId);
  }

  /** What comes of the step where that shows at once; else undefined, and `resume` is called once it does. */
  begin(
    operation: OperationResource,
    step: WatchStep,
    next: Run,
    about: readonly string[] | undefined,
  ): Outcome | undefined {
    const { id } = operation.metadata;
    const watch = new Watch(id, step, next, this.#deps.store.revision, about, this.#asks);
    const outcome = this.#outcomeOf(watch);
    if (outcome !== undefined) return outcome;
    this.#watches.set(id, watch);
    this.#deps.wakes.enter(watch);
    this.#setAlarm(next.limitMs);
    return undefined;
  }

  /** To be called after each durable change of an operation. */
  changed(operation: OperationResource): void {
    const watch = this.#watches.get(operation.metadata.id);
    if (watch === undefined) return;
    if (isOver(operation.status.state)) this.#leave(watch);
    else if (isCancelled(watch, operation)) this.#ask(watch);
  }

  /** The operation is gone. */
  forget(operationId: string): void {
    const watch = this.#watches.get(operationId);
    if (watch !== undefined) this.#leave(watch);
  }

  close(): void {
    this.#cancelAlarm();
    for (const watch of this.#watches.values()) this.#leave(watch);
  }

  #ask(watch: Watch): void {
    if (this.#watches.get(watch.operationId) !== watch) return;
    const outcome = this.#outcomeOf(watch);
    if (outcome === undefined) return;
    this.#leave(watch);
    this.#resume(watch.operationId, outcome);
  }

  #outcomeOf(watch: Watch): Outcome | undefined {
    const { store, clock, log, progress } = this.#deps;
    const { operationId, step, next, since } = watch;
    const { index } = next;
    const operation = store.getById("Operation", operationId);
    if (operation === undefined) return undefined;
    const failed = (error: unknown): Outcome => ({ kind: "failed", index, error });
    if (isCancelled(watch, operation)) return failed(cancelled(operation));
    const say = (update: ProgressUpdate): void => {
      const said = watch.said ?? operation.status.steps[index] ?? {};
      if (addsNothing(said, update)) return;
      watch.said = { ...said, ...update };
      progress.set(operationId, index, update);
    };
    try {
      if (step.isThere({ operation, store, since, progress: say })) return { kind: "done", index };
      return clock.nowMs() < next.limitMs ? undefined : failed(tooLate(operation));
    } catch (error) {
      if (!(error instanceof SkerryError)) {
        log.error(
          { error, operation: operation.metadata.name, step: step.name },
          "a step failed in a way that nobody foresaw",
        );
      }
      return failed(error);
    }
  }

  #leave(watch: Watch): void {
    this.#watches.delete(watch.operationId);
    this.#deps.wakes.leave(watch);
  }

  #setAlarm(atMs: number): void {
    if (atMs >= this.#alarmMs) return;
    const { clock } = this.#deps;
    this.#cancelAlarm();
    this.#alarmMs = atMs;
    this.#cancelAlarm = clock.setTimer(atMs - clock.nowMs(), () => {
      this.#alarmMs = Number.POSITIVE_INFINITY;
      const nowMs = clock.nowMs();
      let nextMs = Number.POSITIVE_INFINITY;
      for (const watch of this.#watches.values()) {
        if (watch.next.limitMs <= nowMs) this.#ask(watch);
        else nextMs = Math.min(nextMs, watch.next.limitMs);
      }
      this.#setAlarm(nextMs);
    });
  }
}

/** One operation that waits. */
class Watch implements Waiting {
  readonly operationId: string;
  readonly step: WatchStep;
  readonly next: Run;
  /** The store's revision when it began. */
  readonly since: number;
  readonly about: readonly string[] | undefined;
  /** What it has said of itself that its record may not show yet. */
  said: ProgressUpdate | undefined;
  readonly #asks: (watch: Watch) => void;

  constructor(
    operationId: string,
    step: WatchStep,
    next: Run,
    since: number,
    about: readonly string[] | undefined,
    asks: (watch: Watch) => void,
  ) {
    this.operationId = operationId;
    this.step = step;
    this.next = next;
    this.since = since;
    this.about = about;
    this.#asks = asks;
  }

  ask(): void {
    this.#asks(this);
  }
}

function isCancelled({ next }: Watch, { status }: OperationResource): boolean {
  return next.cancellable && status.cancelRequestedAt !== undefined;
}
