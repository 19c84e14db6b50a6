import { open, readdir, stat, watch, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { PassThrough, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

const chunkBytes = 64 * 1024;

/**
 * The end of what a serial line has printed, from its log file and the older parts that virtlogd moved aside (`.0` is the
 * newest of them); with `follow`, also what comes, across such moves, until the stream is destroyed or `signal` aborts.
 */
export function readConsoleLog(
  path: string,
  options: { readonly follow: boolean; readonly maxBytes: number },
  signal: AbortSignal,
): Readable {
  const stopped = new AbortController();
  const stop = AbortSignal.any([signal, stopped.signal]);
  const out = new PassThrough();
  out.once("close", () => stopped.abort());
  // A reader that goes away in the middle is no failure, and any other error is the stream's own.
  void pipeline(logChunks(path, options, stop), out, { signal }).catch(() => undefined);
  return out;
}

async function* logChunks(
  path: string,
  options: { readonly follow: boolean; readonly maxBytes: number },
  stop: AbortSignal,
): AsyncGenerator<Buffer> {
  // Watching begins before reading, so that nothing falls between.
  const changes = options.follow ? watch(dirname(path), { signal: stop })[Symbol.asyncIterator]() : undefined;
  let file: FileHandle | undefined;
  try {
    file = await openIfThere(path);
    const size = file === undefined ? 0 : (await file.stat()).size;
    if (size < options.maxBytes) yield* olderParts(path, options.maxBytes - size);
    let position = Math.max(0, size - options.maxBytes);
    for (;;) {
      for (let chunk = await readAt(file, position); chunk.length > 0; chunk = await readAt(file, position)) {
        position += chunk.length;
        yield chunk;
      }
      if (changes === undefined) return;
      if (await isOther(path, file)) {
        await file?.close();
        file = await openIfThere(path);
        position = 0;
        continue;
      }
      await nextChange(changes, stop);
      if (stop.aborted) return;
    }
  } finally {
    await file?.close();
    await changes?.return?.();
  }
}

/** Ends quietly when the watching was stopped. */
async function nextChange(changes: AsyncIterator<unknown>, stop: AbortSignal): Promise<void> {
  try {
    await changes.next();
  } catch (error) {
    if (!stop.aborted) throw error;
  }
}

/** The last `maxBytes` of the parts that were moved aside, oldest first. */
async function* olderParts(path: string, maxBytes: number): AsyncGenerator<Buffer> {
  const prefix = `${basename(path)}.`;
  const names = (await readdir(dirname(path)).catch(() => [])).filter(
    (name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)),
  );
  names.sort((one, other) => Number(one.slice(prefix.length)) - Number(other.slice(prefix.length)));
  const kept: { readonly file: FileHandle; readonly from: number }[] = [];
  try {
    let wanted = maxBytes;
    for (const name of names) {
      if (wanted <= 0) break;
      const file = await openIfThere(join(dirname(path), name));
      if (file === undefined) continue;
      const { size } = await file.stat();
      kept.unshift({ file, from: Math.max(0, size - wanted) });
      wanted -= size;
    }
    for (const { file, from } of kept) {
      let position = from;
      for (let chunk = await readAt(file, position); chunk.length > 0; chunk = await readAt(file, position)) {
        position += chunk.length;
        yield chunk;
      }
    }
  } finally {
    for (const { file } of kept) await file.close();
  }
}

async function readAt(file: FileHandle | undefined, position: number): Promise<Buffer> {
  if (file === undefined) return Buffer.alloc(0);
  const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(chunkBytes), position });
  return buffer.subarray(0, bytesRead);
}

/** Whether the path now leads to another file than the open one. */
async function isOther(path: string, file: FileHandle | undefined): Promise<boolean> {
  let there;
  try {
    there = await stat(path);
  } catch {
    return false; // Moved aside and not there again yet: the open one is still the newest.
  }
  return file === undefined || there.ino !== (await file.stat()).ino;
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r");
  } catch (error) {
    // A guest that never ran has printed nothing.
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
