import { Transform } from "node:stream";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

export interface Pouring {
  /** Bytes that were there before. */
  readonly startBytes: number;
  /** A source that sends nothing for this long is given up. */
  readonly stallMs: number;
  /** Told how many there are in all; where it throws, the pouring fails with that. */
  readonly onBytes: (doneBytes: number) => void;
}

/** Runs a source into `write`, and returns only once both ends are done, also when one failed. */
export async function pour<T>(
  source: Readable,
  pouring: Pouring,
  write: (bytes: Readable) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const counter = byteCounter(pouring);
  const [piped, written] = await Promise.allSettled([pipeline(source, counter, { signal }), write(counter)]);
  // What stopped the writing is the cause where both failed: it sees the source's error, the source doesn't see its.
  if (written.status === "rejected") throw written.reason;
  if (piped.status === "rejected") throw piped.reason;
  return written.value;
}

/** Its timer runs from now on, and whoever makes one listens for its error at once: it would end the process otherwise. */
function byteCounter({ startBytes, stallMs, onBytes }: Pouring): Transform {
  let doneBytes = startBytes;
  const timer = setTimeout(() => counter.destroy(new Error(`nothing arrived for ${stallMs} ms`)), stallMs);
  const counter: Transform = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      timer.refresh();
      doneBytes += chunk.length;
      try {
        onBytes(doneBytes);
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)));
        return;
      }
      done(null, chunk);
    },
    destroy(error, done) {
      clearTimeout(timer);
      done(error);
    },
  });
  return counter;
}
