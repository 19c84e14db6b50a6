import type { OperationResource } from "@skerry/model";

/** A move that this operation has begun and has not taken note of the end of. */
export interface OpenMove {
  readonly operationId: string;
  readonly instanceId: string;
  /** As `project/name`. */
  readonly instance: string;
}

/** What stays where it is, and why. */
export interface Left {
  readonly instance: string;
  readonly why: string;
}

/** What a convoy must know after a kill: all else is seen in the store. */
export interface ConvoyNotes {
  readonly open: readonly OpenMove[];
  readonly moved: number;
  readonly bytes: number;
  readonly longestDowntimeMs: number;
  /** Moves that came to nothing. */
  readonly failures: number;
  /** At its end. */
  readonly left?: readonly Left[];
  readonly leftMore?: number;
}

const none: ConvoyNotes = { open: [], moved: 0, bytes: 0, longestDowntimeMs: 0, failures: 0 };

export function notesOf({ status }: Pick<OperationResource, "status">): ConvoyNotes {
  return { ...none, ...(status.notes["convoy"] as Partial<ConvoyNotes> | undefined) };
}

/** As `StepContext.noteIn` takes it. */
export function asFacts(notes: ConvoyNotes): Readonly<Record<string, unknown>> {
  return { convoy: notes };
}

/** A move that is over, counted. */
export function counted(notes: ConvoyNotes, open: OpenMove, ended: OperationResource | undefined): ConvoyNotes {
  const rest = notes.open.filter(({ operationId }) => operationId !== open.operationId);
  // One that nobody remembers is over for long: where the instance is tells how it went.
  if (ended !== undefined && ended.status.state !== "succeeded")
    return { ...notes, open: rest, failures: notes.failures + 1 };
  const { bytes, downtimeMs } = ended?.status.result ?? {};
  return {
    ...notes,
    open: rest,
    moved: notes.moved + 1,
    bytes: notes.bytes + (typeof bytes === "number" ? bytes : 0),
    longestDowntimeMs: Math.max(notes.longestDowntimeMs, typeof downtimeMs === "number" ? downtimeMs : 0),
  };
}

/** What it came to, for its result. */
export function reportOf(notes: ConvoyNotes): Readonly<Record<string, unknown>> {
  const { moved, bytes, longestDowntimeMs, failures, left = [], leftMore = 0 } = notes;
  return {
    complete: left.length === 0,
    moved,
    bytes,
    longestDowntimeMs,
    failures,
    left,
    ...(leftMore === 0 ? {} : { leftMore }),
  };
}
