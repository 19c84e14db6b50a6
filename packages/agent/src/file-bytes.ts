import { createHash } from "node:crypto";
import { open, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import type { Readable } from "node:stream";

/** Read size for digests and transfers: large enough to spare the event loop, small against the agent's memory. */
export const chunkBytes = 256 * 1024;

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

/** sha256 of a file, read once from its beginning; hex with `sha256:` before it. */
export async function digestOfFile(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  // One buffer for all: a stream's would each wait for V8 to collect them, up to 30 MiB of an agent that should be small.
  const buffer = Buffer.allocUnsafe(chunkBytes);
  await using file = await open(path);
  for (;;) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, buffer.length);
    if (bytesRead === 0) return `sha256:${hash.digest("hex")}`;
    hash.update(buffer.subarray(0, bytesRead));
  }
}

/** Writes a stream from `offset` on, at the pace of the disk, and gives where it ended. Nothing is fsynced. */
export async function writeStream(handle: FileHandle, offset: number, source: Readable): Promise<number> {
  let position = offset;
  for await (const chunk of source) {
    let rest = chunk as Uint8Array;
    while (rest.length > 0) {
      const { bytesWritten } = await handle.write(rest, 0, rest.length, position);
      position += bytesWritten;
      rest = rest.subarray(bytesWritten);
    }
  }
  return position;
}
