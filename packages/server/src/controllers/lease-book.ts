/** How much later than this server's start a predecessor that did not know of its end may have granted a lease. */
const predecessorMs = 10_000;
/** A decision whose commit was not answered is known to have failed by then, or this server no longer leads. */
const withholdMs = 60_000;

export interface LeaseBookDeps {
  /** Milliseconds of a clock that never jumps. */
  readonly monotonicMs: () => number;
  /** Whether no other replica can lead by now. */
  readonly surelyLeads: () => boolean;
}

/**
 * The server's half of leases (`protocol/src/lease.ts`): when each node was last answered. In memory alone: a new server knows
 * nothing of what the one before has granted, and waits as if that had granted everything at its last moment.
 */
export class LeaseBook {
  readonly #deps: LeaseBookDeps;
  readonly #startedMs: number;
  readonly #grantedMs = new Map<string, number>();
  /** By node, then by decision, since when. */
  readonly #withheld = new Map<string, Map<string, number>>();

  constructor(deps: LeaseBookDeps) {
    this.#deps = deps;
    this.#startedMs = deps.monotonicMs();
  }

  /** Whether the node's beat may be answered; from then on it may run for a whole lease what it was told to run. */
  grant(nodeId: string): boolean {
    const nowMs = this.#deps.monotonicMs();
    if (!this.#deps.surelyLeads() || this.#isWithheld(nodeId, nowMs)) return false;
    this.#grantedMs.set(nodeId, nowMs);
    return true;
  }

  /** Whether no lease of this length that any server has granted to the node can be in force. */
  isOver(nodeId: string, seconds: number): boolean {
    const sinceMs = Math.max(this.#startedMs + predecessorMs, this.#grantedMs.get(nodeId) ?? Number.NEGATIVE_INFINITY);
    return this.#deps.monotonicMs() - sinceMs >= seconds * 1000;
  }

  /** Grants the node nothing from here on, so that what is decided about it while its leases are over is still true once committed. */
  withhold(nodeId: string, decision: string): void {
    const decisions = this.#withheld.get(nodeId) ?? new Map<string, number>();
    this.#withheld.set(nodeId, decisions.set(decision, this.#deps.monotonicMs()));
  }

  /** The decision is in the node's wanted state, or will never be. */
  release(nodeId: string, decision: string): void {
    const decisions = this.#withheld.get(nodeId);
    decisions?.delete(decision);
    if (decisions?.size === 0) this.#withheld.delete(nodeId);
  }

  forget(nodeId: string): void {
    this.#grantedMs.delete(nodeId);
  }

  #isWithheld(nodeId: string, nowMs: number): boolean {
    for (const [decision, sinceMs] of this.#withheld.get(nodeId) ?? [])
      if (nowMs - sinceMs > withholdMs) this.release(nodeId, decision);
    return this.#withheld.has(nodeId);
  }
}
