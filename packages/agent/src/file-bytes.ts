import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
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
  for await (const chunk of createReadStream(path, { highWaterMark: chunkBytes, signal })) hash.update(chunk as Buffer);
  return `sha256:${hash.digest("hex")}`;
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
