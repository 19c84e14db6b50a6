import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { constants, createZstdCompress } from "node:zlib";
import type { HostArchitecture } from "./agent-artifacts.ts";
import { archiveHead, archiveTail } from "./debian-archive.ts";
import { readProgramImage } from "./node-binary.ts";

/**
 * Node 24 less its symbols, 108.5 MB: level 3 takes 1.2 s of one core for 38.4 MB, 6: 2.9 s for 35.9 MB, 9: 4.8 s for
 * 34.4 MB, 12: 14 s for 34.2 MB (gzip -6: 9 s for 40.3 MB). It is done once and sent to every host.
 */
const zstdLevel = 9;

export interface CompressedFile {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly compressedSha256: string;
  readonly compressedBytes: number;
  readonly architecture?: HostArchitecture;
}

/** Writes `path` to `target` in the shape in which hosts receive it; a program without its symbols. */
export async function compressFile(
  { path, target, isProgram }: { readonly path: string; readonly target: string; readonly isProgram: boolean },
  onRead: (doneBytes: number) => void,
  signal: AbortSignal,
): Promise<CompressedFile> {
  await using source = await open(path, "r");
  const image = isProgram ? await readProgramImage(source, path) : undefined;
  const sizeBytes = image?.sizeBytes ?? (await source.stat()).size;
  const contentHash = createHash("sha256");
  await using archive = await open(target, "w+", 0o644);
  const head = archiveHead(0);
  let at = head.length;

  async function* content(): AsyncGenerator<Buffer> {
    const header = image?.header.subarray(0, sizeBytes) ?? Buffer.alloc(0);
    if (header.length > 0) yield header;
    let done = header.length;
    while (done < sizeBytes) {
      const chunk = Buffer.allocUnsafe(Math.min(1024 * 1024, sizeBytes - done));
      const { bytesRead } = await source.read(chunk, 0, chunk.length, done);
      if (bytesRead === 0) throw new Error(`${path} became shorter while it was read`);
      done += bytesRead;
      onRead(done);
      yield chunk.subarray(0, bytesRead);
    }
  }
  async function* hashed(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      contentHash.update(chunk);
      yield chunk;
    }
  }
  async function write(chunks: AsyncIterable<Buffer>): Promise<void> {
    for await (const chunk of chunks) {
      await archive.write(chunk, 0, chunk.length, at);
      at += chunk.length;
    }
  }
  await pipeline(
    content,
    hashed,
    createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: zstdLevel } }),
    write,
    { signal },
  );

  const dataBytes = at - head.length;
  const tail = archiveTail(dataBytes);
  await archive.write(archiveHead(dataBytes), 0, head.length, 0);
  await archive.write(tail, 0, tail.length, at);
  await archive.sync();
  const compressedHash = createHash("sha256");
  for await (const chunk of archive.createReadStream({ start: 0, autoClose: false }) as AsyncIterable<Buffer>)
    compressedHash.update(chunk);
  return {
    sha256: contentHash.digest("hex"),
    sizeBytes,
    compressedSha256: compressedHash.digest("hex"),
    compressedBytes: at + tail.length,
    ...(image === undefined ? {} : { architecture: image.architecture }),
  };
}
