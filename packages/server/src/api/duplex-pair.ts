import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";

/** Joins two byte streams both ways, each at the pace of the slower; when one way ends, or the signal aborts, both are closed. */
export async function joinStreams(one: Duplex, other: Duplex, signal: AbortSignal): Promise<void> {
  const ends = new AbortController();
  const either = AbortSignal.any([signal, ends.signal]);
  const way = async (from: Duplex, to: Duplex): Promise<void> => {
    try {
      await pipeline(from, to, { signal: either });
    } catch {
      // A stream that breaks has ended; the peer learns it by its own end closing.
    } finally {
      ends.abort();
    }
  };
  await Promise.all([way(one, other), way(other, one)]);
}
