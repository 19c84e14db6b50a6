import { Transform } from "node:stream";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

/** Passes bytes on and tells how many came in all; fails where none come for `stallMs`, or where `onBytes` throws. */
export function byteCounter(startBytes: number, stallMs: number, onBytes: (doneBytes: number) => void): Transform {
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

/** Runs a source through a counter into `write`, and returns only once both ends are done, also when one failed. */
export async function pour<T>(
  source: Readable,
  counter: Transform,
  write: (bytes: Readable) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const [piped, written] = await Promise.allSettled([pipeline(source, counter, { signal }), write(counter)]);
  // What stopped the writing is the cause where both failed: it sees the source's error, the source doesn't see its.
  if (written.status === "rejected") throw written.reason;
  if (piped.status === "rejected") throw piped.reason;
  return written.value;
}
