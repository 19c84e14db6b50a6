/** What one client saw of one attempt to change a register, however often it asked with the same Idempotency-Key. Times are of one monotonic clock, milliseconds. */
export interface Attempt {
  /** Unique among all attempts; what the register holds after it. */
  readonly id: string;
  readonly register: string;
  /** made: acknowledged. refused: said to have changed nothing. unknown: no answer, or one that leaves it open. */
  readonly outcome: "made" | "refused" | "unknown";
  /** Of the acknowledged change; absent where the answer to a repeated request showed what others made of the register since. */
  readonly revision?: number;
  readonly startedMs: number;
  readonly endedMs: number;
}

/** One answered read. */
export interface Read {
  readonly register: string;
  /** The attempt whose change it showed, and that change's revision; absent where the register was not there yet. */
  readonly id: string | undefined;
  readonly revision: number;
  /** It was asked for this revision or a newer one. */
  readonly atLeast: number;
}

/** One change as a replica's log has it. */
export interface LoggedChange {
  readonly revision: number;
  readonly register: string;
  readonly id: string;
}

export interface Verdict {
  readonly acknowledged: number;
  /** Acknowledged changes that the log does not have. */
  readonly lost: readonly string[];
  readonly appliedTwice: readonly string[];
  /** Everything else that no correct store could show, in words. */
  readonly contradictions: readonly string[];
}

/**
 * Judges what clients saw against the log at the end. Each change of a register replaces a value that its client had read
 * (If-Match), so that the log tells everything: what was acknowledged is in it once, what was refused is not in it, real
 * time is kept between acknowledged changes of a register, and each read showed a state that the log passed through.
 */
export function judge(attempts: readonly Attempt[], reads: readonly Read[], log: readonly LoggedChange[]): Verdict {
  const logged = Map.groupBy(log, (change) => change.id);
  const known = new Map(attempts.map((attempt) => [attempt.id, attempt]));
  const acknowledged = attempts.filter(({ outcome }) => outcome === "made");
  // Whoever was not told of the revision is bound by real time all the same.
  const placed = acknowledged.flatMap((attempt) => {
    const revision = attempt.revision ?? logged.get(attempt.id)?.[0]?.revision;
    return revision === undefined ? [] : [{ ...attempt, revision }];
  });
  const contradictions = [
    ...log.flatMap(({ revision }, index) => {
      const before = log[index - 1]?.revision ?? 0;
      return revision > before ? [] : [`revision ${revision} comes after ${before} in the log`];
    }),
    ...log.filter(({ id }) => !known.has(id)).map(({ id }) => `${id} is in the log, and nobody asked for it`),
    ...attempts
      .filter(({ id, outcome }) => outcome === "refused" && logged.has(id))
      .map(({ id }) => `${id} was refused, and is in the log`),
    ...acknowledged
      .filter(
        ({ id, revision }) => revision !== undefined && logged.get(id)?.some((change) => change.revision !== revision),
      )
      .map(({ id, revision }) => `${id} was acknowledged as revision ${revision}, and is another in the log`),
    ...outOfOrder(placed),
    ...reads.flatMap((read) => contradictionOf(read, logged)),
  ];
  return {
    acknowledged: acknowledged.length,
    lost: acknowledged.filter(({ id }) => !logged.has(id)).map(({ id }) => id),
    appliedTwice: [...logged].filter(([, changes]) => changes.length > 1).map(([id]) => id),
    contradictions,
  };
}

type Placed = Attempt & { readonly revision: number };

/** A change that was acknowledged before another was asked for has the lower revision. */
function outOfOrder(acknowledged: readonly Placed[]): string[] {
  const byEnd = acknowledged.toSorted((one, other) => one.endedMs - other.endedMs);
  const byStart = acknowledged.toSorted((one, other) => one.startedMs - other.startedMs);
  const found: string[] = [];
  let highest: Placed | undefined;
  let next = 0;
  for (const attempt of byStart) {
    for (; (byEnd[next]?.endedMs ?? Infinity) < attempt.startedMs; next++) {
      const ended = byEnd[next];
      if (ended !== undefined && ended.revision > (highest?.revision ?? 0)) highest = ended;
    }
    if (highest !== undefined && attempt.revision < highest.revision)
      found.push(`${attempt.id} began after ${highest.id} was acknowledged, and has an older revision`);
  }
  return found;
}

function contradictionOf(
  { id, register, revision, atLeast }: Read,
  logged: ReadonlyMap<string, readonly LoggedChange[]>,
): string[] {
  if (id === undefined) return [];
  const shown = logged.get(id)?.find((change) => change.register === register);
  if (shown === undefined) return [`a read of ${register} showed ${id}, which the log does not have`];
  if (shown.revision !== revision) return [`a read of ${register} showed ${id} at ${revision}, not ${shown.revision}`];
  const newer = [...logged.values()]
    .flat()
    .find((change) => change.register === register && change.revision > revision && change.revision <= atLeast);
  return newer === undefined ? [] : [`a read of ${register} at ${atLeast} or newer showed ${id} of ${revision}`];
}
