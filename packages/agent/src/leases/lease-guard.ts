/**
 * What ends guests whose lease is over even where the agent hangs or is gone. It is told by uptime, in seconds since the host's
 * boot, so that neither a jump of the wall clock nor a suspension deceives it.
 */
export interface LeaseGuard {
  /** Why no guest can be trusted to it now, as a sentence; undefined where it watches. */
  missing(): string | undefined;
  /** The guest is ended at this moment, or at once if that has passed; in force on return. */
  set(instanceId: string, endsAtSeconds: number): void;
  /** The guest needs no lease any more. */
  clear(instanceId: string): void;
  /** The instances that are guarded. */
  guarded(): readonly string[];
  /** The uptime at which the last answered beat was sent, for the next run of the agent; gone with the host's boot. */
  readonly anchorSeconds: number | undefined;
  keepAnchor(atSeconds: number): void;
}
