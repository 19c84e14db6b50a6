/* Calendar months in UTC, as `2026-11`. */

export interface Span {
  readonly startMs: number;
  readonly endMs: number;
}

export function monthOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 7);
}

/** From its first millisecond to the next one's. */
export function spanOfMonth(month: string): Span {
  const [year = 0, number = 1] = month.split("-").map(Number);
  return { startMs: utcMonth(year, number - 1), endMs: utcMonth(year, number) };
}

/** As `Date.UTC`, also of the years 0 to 99. */
function utcMonth(year: number, index: number): number {
  return new Date(0).setUTCFullYear(year, index, 1);
}

/** What of a span lies in each month that it touches. */
export function* monthsOf({ startMs, endMs }: Span): Generator<{ readonly month: string; readonly ms: number }> {
  for (let from = startMs; from < endMs;) {
    const month = monthOf(from);
    const until = Math.min(endMs, spanOfMonth(month).endMs);
    yield { month, ms: until - from };
    from = until;
  }
}

/** How long two spans have in common. */
export function overlapMs(one: Span, other: Span): number {
  return Math.max(0, Math.min(one.endMs, other.endMs) - Math.max(one.startMs, other.startMs));
}
