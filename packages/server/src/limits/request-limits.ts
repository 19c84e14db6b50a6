import { SkerryError } from "@skerry/model";
import type { Principal } from "../authorisation/principal.ts";
import type { Clock } from "../operations/clock.ts";
import { OpenLimit } from "./open-limit.ts";
import { RateBook, type Rate } from "./rate-book.ts";

/** What is too much at once, and what by the second. */
export interface RequestLimitOptions {
  /** Requests of one user or service account; of all tokens of a project that are nobody's; of others with those of who made them. */
  readonly principal: Rate;
  /** Changes of what lives in one project, rehearsals included; a project's own `mutationsPerSecond` goes before it. */
  readonly project: Rate;
  /** Requests without a token of one address, or of one network of IPv6: agents that dial, and whoever asks whether the server lives. */
  readonly address: Rate;
  /** Open event streams and streams of bytes of one principal. */
  readonly streams: number;
  /** Uploads of one principal that are under way. */
  readonly uploads: number;
  /** An upload that brings less than this in such a time is given up: 9 kbit/s is nobody who wants to be done. */
  readonly slowestUpload: { readonly bytes: number; readonly inMs: number };
  /** A body of JSON must be here whole by then. */
  readonly bodyTimeoutMs: number;
}

/** More than one server does, but of what one project alone may make it do. */
const defaultRequestLimits: RequestLimitOptions = {
  principal: { perSecond: 5000, burst: 10_000 },
  project: { perSecond: 1000, burst: 5000 },
  address: { perSecond: 1000, burst: 10_000 },
  streams: 100,
  uploads: 8,
  slowestUpload: { bytes: 64 * 1024, inMs: 60_000 },
  bodyTimeoutMs: 30_000,
};

/** Which of these a request ran into, as its answer names it. */
type RateName = "principal" | "token" | "project" | "organisation" | "address";

/** One bucket that something is taken from, and what that is in words. */
interface Counted {
  readonly limit: RateName;
  readonly key: string;
  readonly rate: Rate;
  readonly what: string;
}

/** What objects say of themselves in place of the server's options. */
export interface OwnRates {
  readonly project?: Rate;
  readonly organisation?: { readonly name: string; readonly rate: Rate };
}

/** What a number a second allows at once, where only that is said: five seconds of it. */
export function rateOf(perSecond: number): Rate {
  return { perSecond, burst: 5 * perSecond };
}

/**
 * The one place that slows down who asks too much. It counts in memory: each replica by itself, and anew after a start. Whoever guesses
 * tokens is slowed down by `FailureLimit`.
 */
export class RequestLimits {
  readonly options: RequestLimitOptions;
  readonly streams: OpenLimit;
  readonly uploads: OpenLimit;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #books: Readonly<Record<RateName, RateBook>> = {
    principal: new RateBook(),
    token: new RateBook(),
    project: new RateBook(),
    organisation: new RateBook(),
    address: new RateBook(),
  };

  constructor(clock: Pick<Clock, "monotonicMs">, options: Partial<RequestLimitOptions> = {}) {
    this.#clock = clock;
    this.options = { ...defaultRequestLimits, ...options };
    this.streams = new OpenLimit(this.options.streams, "streams");
    this.uploads = new OpenLimit(this.options.uploads, "uploads");
  }

  /**
   * @param cost of a request that does the work of several
   * @throws SkerryError too-many-requests
   */
  admit(principal: Principal, cost = 1): void {
    const { tokenId, requestsPerSecond } = principal;
    const own = requestsPerSecond === undefined ? undefined : rateOf(requestsPerSecond);
    this.#take(cost, [
      ...(own === undefined
        ? []
        : [{ limit: "token", key: tokenId, rate: own, what: "This token has asked" } as const]),
      { limit: "principal", key: principalKey(principal), rate: this.options.principal, what: "You have asked" },
    ]);
  }

  /**
   * Changes of what lives in a project, or their rehearsal.
   * @param count of a request that makes several
   * @throws SkerryError too-many-requests
   */
  admitChange(project: string, own: OwnRates, count = 1): void {
    const { organisation, project: rate = this.options.project } = own;
    const whole = "Of its organisation changes were asked";
    this.#take(count, [
      { limit: "project", key: project, rate, what: `Of the project ${project} changes were asked` },
      ...(organisation === undefined
        ? []
        : [{ limit: "organisation", key: organisation.name, rate: organisation.rate, what: whole } as const]),
    ]);
  }

  /** Somebody who shows no token. @throws SkerryError too-many-requests */
  admitAddress(source: string): void {
    const what = "Requests came from this address";
    this.#take(1, [{ limit: "address", key: source, rate: this.options.address, what }]);
  }

  /** From all of them, or from none. */
  #take(cost: number, counted: readonly Counted[]): void {
    const nowMs = this.#clock.monotonicMs();
    for (const { limit, key, rate, what } of counted) {
      const waitMs = this.#books[limit].waitMs(key, rate, nowMs, cost);
      if (waitMs > 0) throw tooOften(limit, rate, waitMs, `${what} more than ${rate.perSecond} times a second.`);
    }
    for (const { limit, key, rate } of counted) this.#books[limit].take(key, rate, nowMs, cost);
  }
}

/** Whose streams and requests count together: all of a user's tokens, and of others as they say themselves. */
export function principalKey({
  owner,
  name,
  tokenId,
  countsWith,
}: Pick<Principal, "owner" | "name" | "tokenId" | "countsWith">): string {
  return owner === undefined ? (countsWith ?? tokenId) : `${owner} ${name}`;
}

/** With the facts that `RateLimit` headers are made of. */
function tooOften(limit: string, rate: Rate, waitMs: number, detail: string): SkerryError {
  const retryAfterSeconds = Math.ceil(waitMs / 1000);
  return new SkerryError("too-many-requests", detail, {
    remedy: `Ask again in ${retryAfterSeconds} s, and less often.`,
    facts: { limit, ...rate, retryAfterSeconds },
  });
}
