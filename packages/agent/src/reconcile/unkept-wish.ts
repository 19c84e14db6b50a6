import { SkerryError } from "@skerry/model";
import type { ObservedInstance, WantedState } from "@skerry/protocol";
import { isDiskFull } from "../disk-full.ts";
import type { Log } from "../log.ts";
import { retryDelayMs } from "../retry-delay.ts";
import { explanation, failureOf } from "./observe.ts";
import type { Failure } from "./observe.ts";

export interface UnkeptWishDeps {
  /** Journals a wish and follows it. @throws where it can't be journalled */
  readonly keep: (state: WantedState) => void;
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly log: Log;
}

const retry = { minMs: 1000, maxMs: 60_000 };

/** The newest wish that could not be journalled, and so is not followed: told of, and tried again ever more rarely. */
export class UnkeptWish {
  readonly #deps: UnkeptWishDeps;
  #wish: { readonly state: WantedState; readonly failure: Failure } | undefined;
  #failures = 0;
  #dueMs = 0;

  constructor(deps: UnkeptWishDeps) {
    this.#deps = deps;
  }

  /** When it is to be tried again, ms since 1970; undefined where every wish is kept. */
  get dueMs(): number | undefined {
    return this.#wish === undefined ? undefined : this.#dueMs;
  }

  /** Keeps a wish, now or later. */
  take(state: WantedState): void {
    const { keep, nowMs, random, log } = this.#deps;
    // One that was overtaken on its way.
    if (this.#wish !== undefined && state.revision < this.#wish.state.revision) return;
    try {
      keep(state);
      this.#wish = undefined;
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      const delayMs = retryDelayMs(this.#failures, retry.minMs, retry.maxMs, random());
      this.#wish = { state, failure: failureOf(asTold(error)) };
      this.#dueMs = nowMs() + delayMs;
      log.error({ error, retryInMs: delayMs }, "a wanted state was not journalled; it is not followed yet");
    }
  }

  /** Tries again what is due. */
  retry(): void {
    if (this.#wish !== undefined && this.#dueMs <= this.#deps.nowMs()) this.take(this.#wish.state);
  }

  /** Tries again at once. */
  retryNow(): void {
    this.#dueMs = 0;
  }

  /** Instances that it asks for and of which nothing else is known here, with why they are not made. */
  instances(known: readonly ObservedInstance[]): ObservedInstance[] {
    if (this.#wish === undefined) return [];
    const { state, failure } = this.#wish;
    const ids = new Set(known.map(({ id }) => id));
    return state.instances
      .filter(({ id, presence }) => presence === "present" && !ids.has(id))
      .map(({ id, epoch }) => ({
        id,
        epoch,
        generation: 0,
        state: "pending",
        health: "unknown",
        rebootGeneration: 0,
        error: failure.message,
        ...explanation(failure),
      }));
  }
}

function asTold(error: unknown): unknown {
  if (!isDiskFull(error)) return error;
  return new SkerryError("storage-full", "The node's disk is full; what is wanted of it could not be written down.", {
    remedy: "Free space below the agent's data folder.",
    cause: error,
  });
}
