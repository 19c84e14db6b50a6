import type { SkerryError } from "@skerry/model";

/** Why an instance has not been moved yet, and when it is tried again. */
export interface Trouble {
  readonly why: string;
  readonly attempts: number;
  /** How many of them, up to the last, found something else at work on it. */
  readonly busyTimes: number;
  readonly againMs: number;
  /** Whether it is so for good, as far as can be known, for those who do not want to wait. */
  readonly isLasting: boolean;
  /** Nodes at which its moves have failed. */
  readonly avoid: readonly string[];
}

/** So often an operation that only watches is waited for, about five minutes; then a move replaces it, whoever goes on asking for such. */
const patience = 12;

export function isPatienceOver(trouble: Trouble | undefined): boolean {
  return trouble !== undefined && trouble.busyTimes >= patience;
}

interface Manner {
  readonly firstMs: number;
  readonly longestMs: number;
  /** After how many attempts it counts as lasting. */
  readonly lastingAfter: number;
}

const secondMs = 1000;
const forever = Number.POSITIVE_INFINITY;
/** Whatever works on it has a deadline. */
const atWork: Manner = { firstMs: 5 * secondMs, longestMs: 30 * secondMs, lastingAfter: forever };
/** What stands in the way of a move, by the code of its refusal. */
const manners: Readonly<Record<string, Manner>> = {
  busy: atWork,
  "no-placement": { firstMs: 5 * secondMs, longestMs: 60 * secondMs, lastingAfter: 1 },
  "node-disconnected": { firstMs: 5 * secondMs, longestMs: 30 * secondMs, lastingAfter: 3 },
  "disruption-budget": { firstMs: 5 * secondMs, longestMs: 15 * secondMs, lastingAfter: 3 },
};
const otherwise: Manner = { firstMs: 5 * secondMs, longestMs: 5 * 60 * secondMs, lastingAfter: 3 };
/** Of a move that was begun and has failed: the guest was stopped for it. */
const failed: Manner = { firstMs: 30 * secondMs, longestMs: 10 * 60 * secondMs, lastingAfter: 3 };

/**
 * Of an instance whose move was not begun.
 * @param isAvoiding whether nodes were ruled out, for a while, at which moves have stalled
 */
export function refused(
  error: SkerryError,
  before: Trouble | undefined,
  nowMs: number,
  isAvoiding: boolean = false,
): Trouble {
  // It fits nowhere but where it has failed: there it is tried again, and that it failed is what there is to say.
  if (error.code === "no-placement" && before !== undefined && before.avoid.length > 0)
    return {
      ...next(before.why, isAvoiding ? { ...failed, lastingAfter: forever } : failed, before, nowMs),
      avoid: [],
    };
  const manner = error.facts?.["preparing"] === true ? atWork : (manners[error.code] ?? otherwise);
  // Moves that are under way give their places back, a lease ends, and what is avoided is not for long.
  const passes =
    (error.code === "no-placement" && isAvoiding) ||
    (error.code === "disruption-budget" && error.facts?.["moving"] !== 0) ||
    (error.code === "node-disconnected" && error.facts?.["isReplaced"] === true);
  const busyTimes = error.code === "busy" ? (before?.busyTimes ?? 0) + 1 : 0;
  const trouble = next(error.message, passes ? { ...manner, lastingAfter: forever } : manner, before, nowMs);
  return { ...trouble, busyTimes };
}

/** Of an instance whose move came to nothing. */
export function broken(why: string, target: string | undefined, before: Trouble | undefined, nowMs: number): Trouble {
  const avoid = [...(before?.avoid ?? []), ...(target === undefined ? [] : [target])];
  return { ...next(why, failed, before, nowMs), avoid };
}

function next(why: string, manner: Manner, before: Trouble | undefined, nowMs: number): Trouble {
  const attempts = (before?.attempts ?? 0) + 1;
  const waitMs = Math.min(manner.longestMs, manner.firstMs * 2 ** Math.min(attempts - 1, 16));
  return {
    why,
    attempts,
    busyTimes: 0,
    againMs: nowMs + waitMs,
    isLasting: attempts >= manner.lastingAfter,
    avoid: before?.avoid ?? [],
  };
}
