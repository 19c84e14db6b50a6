/** So many a second in the long run; after a pause as many as `burst` at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

interface Bucket {
  /** When it will be full again: milliseconds of the monotonic clock. */
  fullAtMs: number;
}

/** Keys that are remembered at least; those that asked longest ago are forgotten beyond, and begin anew with a whole burst. */
const defaultKeys = 20_000;
/** Sums of fractions are not exact. */
const toleranceMs = 1e-6;

/**
 * Token buckets by key, each kept as one number (GCRA). A bucket that is full is like one that is not there, so that nothing has to be
 * tidied by time, and what there is of them is bounded: 0.1 us for each request, some megabytes at most.
 */
export class RateBook {
  readonly #keys: number;
  #buckets = new Map<string, Bucket>();
  /** Those that have not been asked for since the others were begun. */
  #before: ReadonlyMap<string, Bucket> = new Map();

  constructor(keys = defaultKeys) {
    this.#keys = keys;
  }

  /** Takes `cost` of what `key` has: 0 where there is enough, else how long until there would be, ms, and takes nothing. */
  take(key: string, rate: Rate, nowMs: number, cost = 1): number {
    const bucket = this.#buckets.get(key) ?? this.#remember(key);
    const waitMs = waitOf(bucket, rate, nowMs, cost);
    if (waitMs === 0) bucket.fullAtMs = Math.max(bucket.fullAtMs, nowMs) + (cost * 1000) / rate.perSecond;
    return waitMs;
  }

  /** What `take` would give, with nothing taken. */
  waitMs(key: string, rate: Rate, nowMs: number, cost = 1): number {
    const bucket = this.#buckets.get(key) ?? this.#before.get(key);
    return bucket === undefined ? 0 : waitOf(bucket, rate, nowMs, cost);
  }

  /** How many keys are remembered. */
  get size(): number {
    return this.#buckets.size + this.#before.size;
  }

  #remember(key: string): Bucket {
    const bucket = this.#before.get(key) ?? { fullAtMs: 0 };
    if (this.#buckets.size >= this.#keys) {
      this.#before = this.#buckets;
      this.#buckets = new Map();
    }
    this.#buckets.set(key, bucket);
    return bucket;
  }
}

function waitOf({ fullAtMs }: Bucket, { perSecond, burst }: Rate, nowMs: number, cost: number): number {
  // What costs more than a whole burst waits for that, and is paid for in full.
  const waitMs = Math.max(fullAtMs - nowMs, 0) - ((burst - Math.min(cost, burst)) * 1000) / perSecond;
  return waitMs > toleranceMs ? waitMs : 0;
}
