import { createHash } from "node:crypto";
import { open, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import type { Readable } from "node:stream";

/** Read size for digests and transfers: large enough to spare the event loop, small against the agent's memory. */
const chunkBytes = 256 * 1024;

/** Undefined where there is no such file. */
export async function sizeOfFile(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

/**
 * A file's bytes from `offset` on, all in one buffer: a chunk is overwritten when the next one is asked for. A stream's would each
 * wait for V8 to collect them, 30 MiB and more of an agent that should be small.
 */
export async function* chunksOfFile(path: string, offset: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(chunkBytes);
  await using file = await open(path);
  for (let position = offset; ;) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** sha256 of a file, read once from its beginning; hex with `sha256:` before it. */
export async function digestOfFile(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of chunksOfFile(path, 0, signal)) hash.update(chunk);
  return `sha256:${hash.digest("hex")}`;
}

/**
 * What arrives is in small buffers of its own, 16 KiB each, of which V8 lets tens of MiB pile up before it looks for garbage: to it they
 * are light. After so many bytes the young ones are collected, in well under a millisecond, where the agent is started with `--expose-gc`.
 */
const collectedBytes = 1024 * 1024;

/** Writes a stream from `offset` on, at the pace of the disk, and gives where it ended. Nothing is fsynced. */
export async function writeStream(handle: FileHandle, offset: number, source: Readable): Promise<number> {
  let position = offset;
  let uncollected = 0;
  for await (const chunk of source) {
    let rest = chunk as Uint8Array;
    while (rest.length > 0) {
      const { bytesWritten } = await handle.write(rest, 0, rest.length, position);
      position += bytesWritten;
      uncollected += bytesWritten;
      rest = rest.subarray(bytesWritten);
    }
    if (uncollected < collectedBytes) continue;
    uncollected = 0;
    globalThis.gc?.({ type: "minor" });
  }
  return position;
}
