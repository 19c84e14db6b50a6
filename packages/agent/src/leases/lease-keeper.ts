import { NodeLease, nextLeaseChange, type WantedState } from "@skerry/protocol";
import type { LeaseGuard } from "./lease-guard.ts";

export interface LeaseKeeperDeps {
  readonly guard: LeaseGuard;
  /** Since the host's boot, suspended time included, deaf to the wall clock. */
  readonly uptimeSeconds: () => number;
  readonly wanted: () => WantedState | undefined;
  /** Called when a guest may have to be ended, or may be started. */
  readonly onChange: () => void;
}

/** What a plan must know of leases, at one moment. */
export interface LeaseView {
  /** Since the newest beat that the server has answered; infinite without any. */
  readonly ageSeconds: number;
  /** Why nothing that needs a lease may be started, as a sentence. */
  readonly unguarded: string | undefined;
}

/** The agent's leases: asks for them, tells the guard until when each guest may run, and rings when one ends. */
export class LeaseKeeper {
  readonly #deps: LeaseKeeperDeps;
  readonly #lease: NodeLease;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: LeaseKeeperDeps) {
    this.#deps = deps;
    this.#lease = new NodeLease(deps.uptimeSeconds, deps.guard.anchorSeconds);
  }

  /** Numbers a beat that is sent right after. */
  beat(): number {
    return this.#lease.beat();
  }

  granted(beat: number, wantedRevision: number): void {
    if (!this.#lease.granted(beat, wantedRevision, this.#deps.wanted()?.revision ?? 0)) return;
    const { anchorSeconds } = this.#lease;
    if (anchorSeconds !== undefined) this.#deps.guard.keepAnchor(anchorSeconds);
    this.refresh();
    this.#deps.onChange();
  }

  /** Brings the guard up to the journal's wish; to be called after each new wish, before anything follows from it. */
  refresh(): void {
    const { guard, wanted } = this.#deps;
    const instances = wanted()?.instances;
    // A wish that is not known lets nobody off: what has a lease keeps its end.
    if (instances === undefined) return;
    const known = new Map(instances.map((instance) => [instance.id, instance]));
    for (const id of guard.guarded()) {
      const instance = known.get(id);
      // What has to go keeps its guard until it is gone.
      if (instance === undefined || (instance.presence === "present" && instance.lease === undefined)) guard.clear(id);
    }
    let nextSeconds = Infinity;
    for (const { id, presence, lease } of instances) {
      if (presence === "absent" || lease === undefined) continue;
      guard.set(id, this.#lease.endsAtSeconds(lease.seconds));
      nextSeconds = Math.min(nextSeconds, nextLeaseChange(this.#lease.ageSeconds, lease.seconds) ?? Infinity);
    }
    this.#ringIn(nextSeconds);
  }

  view(): LeaseView {
    return { ageSeconds: this.#lease.ageSeconds, unguarded: this.#deps.guard.missing() };
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  /** Timers stand still while the host is suspended; until they ring, the guard is the one that is awake. */
  #ringIn(seconds: number): void {
    clearTimeout(this.#timer);
    if (seconds === Infinity) return;
    this.#timer = setTimeout(
      () => {
        this.refresh();
        this.#deps.onChange();
      },
      seconds * 1000 + 1,
    );
  }
}
