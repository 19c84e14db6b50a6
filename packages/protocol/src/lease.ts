/*
 * Leases, as both sides count them. A node asks with each beat; the server's answer lets it run what it was told to run for a
 * while, counted by the node from when it SENT that beat and by the server from when it answered, which is later. Both use
 * clocks that never jump and that count suspended time on the node; the two may differ in rate. See docs/adr/0006.
 */

/** What clocks may differ in rate, as a part of the lease; generous: quartz differs by a ten-thousandth. */
const rateMargin = 0.1;
/** From a lease's end until its guest is surely gone: one round of the guard, and the kill. */
const killMarginSeconds = 2;
/** The agent kills this long before the guard would. */
const agentLeadSeconds = 1;
/** For a shutdown in good order, at most; and the part of the lease that it may take at most. */
const graceSeconds = 30;
const gracePart = 0.2;

/** Seconds after the beat that a lease rests on. */
export interface LeaseSpan {
  /** From here on the guest is asked to shut down. */
  readonly stopSeconds: number;
  /** From here on the agent kills it. */
  readonly killSeconds: number;
  /** From here on the guard kills it, whatever became of the agent. */
  readonly endSeconds: number;
}

/** How a node uses a lease after which the server may start the instance elsewhere. */
export function leaseSpan(seconds: number): LeaseSpan {
  const endSeconds = Math.max(0, seconds * (1 - rateMargin) - killMarginSeconds);
  const killSeconds = Math.max(0, endSeconds - agentLeadSeconds);
  return {
    stopSeconds: Math.max(0, killSeconds - Math.min(graceSeconds, seconds * gracePart)),
    killSeconds,
    endSeconds,
  };
}

/** `held`: it may run and be started. `ending`: it is asked to shut down. `over`: it must not run. */
export type LeaseStage = "held" | "ending" | "over";

export function leaseStage(ageSeconds: number, seconds: number): LeaseStage {
  const { stopSeconds, killSeconds } = leaseSpan(seconds);
  if (ageSeconds >= killSeconds) return "over";
  return ageSeconds >= stopSeconds ? "ending" : "held";
}

/** Seconds until the stage changes by itself; undefined once it is over. */
export function nextLeaseChange(ageSeconds: number, seconds: number): number | undefined {
  const { stopSeconds, killSeconds } = leaseSpan(seconds);
  const next = [stopSeconds, killSeconds].find((moment) => moment > ageSeconds);
  return next === undefined ? undefined : next - ageSeconds;
}

/** The node's half: which of its beats was the last that the server answered. It can't be wrong about time, only be too careful. */
export class NodeLease {
  readonly #uptimeSeconds: () => number;
  readonly #sent = new Map<number, number>();
  #last = 0;
  #anchorSeconds: number | undefined;

  /**
   * @param uptimeSeconds since the node's boot, suspended time included, deaf to the wall clock
   * @param anchorSeconds what an earlier run of the agent since the same boot had
   */
  constructor(uptimeSeconds: () => number, anchorSeconds?: number) {
    this.#uptimeSeconds = uptimeSeconds;
    // A moment that has not come yet is of another boot.
    if (anchorSeconds !== undefined && anchorSeconds <= uptimeSeconds()) this.#anchorSeconds = anchorSeconds;
  }

  /** When the newest answered beat was sent; undefined where none was since the node booted. */
  get anchorSeconds(): number | undefined {
    return this.#anchorSeconds;
  }

  /** Numbers a beat that is sent right after. */
  beat(): number {
    this.#last += 1;
    this.#sent.set(this.#last, this.#uptimeSeconds());
    // Unanswered ones of long ago grant nothing that lasts.
    this.#sent.delete(this.#last - maxUnanswered);
    return this.#last;
  }

  /**
   * Takes an answer. It counts only where the node already follows the wanted state that it speaks of, for an older one may name
   * what has been given to another node since. Returns whether it did.
   */
  granted(beat: number, wantedRevision: number, heldRevision: number): boolean {
    const sentSeconds = this.#sent.get(beat);
    if (sentSeconds === undefined || wantedRevision > heldRevision) return false;
    for (const number of this.#sent.keys()) if (number <= beat) this.#sent.delete(number);
    this.#anchorSeconds = Math.max(this.#anchorSeconds ?? 0, sentSeconds);
    return true;
  }

  /** The uptime at which the guard is to end the guest; 0 without a lease. */
  endsAtSeconds(seconds: number): number {
    return this.#anchorSeconds === undefined ? 0 : this.#anchorSeconds + leaseSpan(seconds).endSeconds;
  }

  /** Since the beat that the leases rest on; infinite without any. */
  get ageSeconds(): number {
    return this.#anchorSeconds === undefined ? Number.POSITIVE_INFINITY : this.#uptimeSeconds() - this.#anchorSeconds;
  }
}

const maxUnanswered = 64;
