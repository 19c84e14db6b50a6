import { isIPv6 } from "node:net";
import { SkerryError } from "@skerry/model";
import type { Clock } from "../operations/clock.ts";

/** Failures that a source may have at once, and how soon it may have another one. */
const defaultBurst = 30;
const defaultRefillMs = 2000;
/** Sources that are remembered; beyond that the ones that failed longest ago are forgotten. */
const maxSources = 10_000;

interface Bucket {
  readonly left: number;
  readonly atMs: number;
}

/**
 * The one place that slows down who guesses: counts failed proofs of identity by their source, which is an address or the
 * token that was tried. What succeeds is never refused, so that nobody is locked out by a neighbour behind the same address.
 */
export class FailureLimit {
  readonly #clock: Pick<Clock, "nowMs">;
  readonly #burst: number;
  readonly #refillMs: number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(clock: Pick<Clock, "nowMs">, burst = defaultBurst, refillMs = defaultRefillMs) {
    this.#clock = clock;
    this.#burst = burst;
    this.#refillMs = refillMs;
  }

  /** Counts a failure of each source; gives what to answer: the failure itself or, once it were too many, too-many-requests. */
  weigh(failure: unknown, sources: readonly (string | undefined)[]): unknown {
    const waitMs = Math.max(0, ...sources.map((source) => (source === undefined ? 0 : this.#take(source))));
    if (waitMs === 0) return failure;
    const retryAfterSeconds = Math.ceil(waitMs / 1000);
    return new SkerryError("too-many-requests", "Too many attempts with what is not valid came from here.", {
      remedy: `Correct the token first; the next wrong attempt is answered in ${retryAfterSeconds} s.`,
      facts: { limit: "failures", perSecond: 1000 / this.#refillMs, burst: this.#burst, retryAfterSeconds },
    });
  }

  /** How long until there is room for one more, ms; 0 where there was. */
  #take(source: string): number {
    const nowMs = this.#clock.nowMs();
    const { left, atMs } = this.#buckets.get(source) ?? { left: this.#burst, atMs: nowMs };
    const refilled = Math.min(this.#burst, left + Math.max(0, nowMs - atMs) / this.#refillMs);
    // Deleted first: a map keeps its order, and so the one that failed longest ago is its first.
    this.#buckets.delete(source);
    this.#buckets.set(source, { left: refilled >= 1 ? refilled - 1 : refilled, atMs: nowMs });
    if (this.#buckets.size > maxSources) {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest);
        break;
      }
    }
    return refilled >= 1 ? 0 : Math.ceil((1 - refilled) * this.#refillMs);
  }
}

/** An address as a source of failures; of IPv6 the network, since one host has as many addresses there as it likes. */
export function addressSource(address: string): string {
  const plain = address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
  if (!isIPv6(plain)) return `address ${plain}`;
  const [head = "", tail] = plain.split("::");
  const groups = head === "" ? [] : head.split(":");
  const missing = tail === undefined ? 0 : 8 - groups.length - (tail === "" ? 0 : tail.split(":").length);
  const whole = [...groups, ...Array.from({ length: missing }, () => "0"), ...(tail ?? "").split(":")];
  return `network ${whole.slice(0, 4).join(":")}`;
}
