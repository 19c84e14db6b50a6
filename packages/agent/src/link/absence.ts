import { retryDelayMs } from "../retry-delay.ts";

/** How long waits for the server are, milliseconds. */
export interface ReconnectLimits {
  /** The first wait after a good link. */
  readonly quickMs: number;
  /** How long a link has to be up to be a good one. */
  readonly goodMs: number;
  /** The first and the longest wait where the server is there and does not take the link. */
  readonly minMs: number;
  readonly maxMs: number;
  /** The wait after it has said that it does not want this node. */
  readonly refusedMs: number;
}

/** The time since the last link. */
export interface Absence {
  readonly sinceMs: number;
  /** There was a good link, and since then nobody at the server's address: asking costs nobody anything. */
  readonly quiet: boolean;
  /** Attempts in a row that cost the server something. */
  readonly failures: number;
}

/** Before the first link. */
export const neverLinked: Absence = { sinceMs: Number.NEGATIVE_INFINITY, quiet: false, failures: 0 };

interface EndedLink {
  readonly upMs: number;
  /** The WebSocket's close code (RFC 6455, 7.4). */
  readonly closeCode: number;
}

/** Policy violation, and "try again later": the server is there and ends this link on purpose. */
const unwelcome: ReadonlySet<number> = new Set([1008, 1013]);

export function afterLink(before: Absence, link: EndedLink, nowMs: number, { goodMs }: ReconnectLimits): Absence {
  const quiet = link.upMs >= goodMs && !unwelcome.has(link.closeCode);
  return { sinceMs: nowMs, quiet, failures: quiet ? 0 : before.failures + 1 };
}

/** @param nobody nothing listens there: the server is being started again, or its host is down */
export function afterFailure(before: Absence, nobody: boolean): Absence {
  if (nobody && before.quiet) return before;
  // Whoever gets as far as a server that then fails them is one of too many.
  return { ...before, quiet: false, failures: before.failures + 1 };
}

/**
 * How long to wait before the next attempt. While nobody is there, up to as long as it has been so: a short absence ends soon
 * after its cause, and a whole fleet's return is spread over about as much time as it was away, up to the longest wait. @param random within [0, 1)
 */
export function reconnectDelayMs(absence: Absence, nowMs: number, limits: ReconnectLimits, random: number): number {
  const { quickMs, minMs, maxMs } = limits;
  if (!absence.quiet) return retryDelayMs(Math.max(1, absence.failures), minMs, maxMs, random);
  const longestMs = Math.min(maxMs, Math.max(quickMs, nowMs - absence.sinceMs));
  return Math.round(longestMs / 2 + (longestMs / 2) * random);
}
