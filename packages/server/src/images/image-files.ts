import { randomBytes, createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { SkerryError } from "@skerry/model";
import { qcow2HeaderBytes, refuseOtherFiles } from "./qcow2-header.ts";
import { syncDirectory } from "../secrets/private-file.ts";

/** What a file must turn out to be. */
export interface ImageContent {
  /** `sha256:…` */
  readonly digest: string;
  readonly sizeBytes: number;
  readonly format: "qcow2" | "raw";
}

/** Left free on the disk for the store, whose writes must not fail because of an upload. */
const reserveBytes = 256 * 1024 * 1024;
const partialSuffix = ".partial";
const digestPattern = /^sha256:([0-9a-f]{64})$/;

/** Images' content on the server's disk: one read-only file per digest, whichever images have it. */
export interface ImageFiles {
  /**
   * Stores a stream and resolves once it is durable. Nothing is left of one that fails.
   * @throws SkerryError digest-mismatch, storage-full; whatever the stream fails with
   */
  store(content: ImageContent, source: Readable, signal: AbortSignal): Promise<void>;
  /** Size in bytes; undefined where no such content is stored. */
  sizeOf(digest: string): Promise<number | undefined>;
  /** Bytes `start` to `end`, both included. */
  read(digest: string, start: number, end: number): Readable;
  remove(digest: string): Promise<void>;
  /** Removes what no digest of `kept` names, and what crashed uploads left. Not during an upload. */
  sweep(kept: ReadonlySet<string>): Promise<void>;
}

export async function openImageFiles(directory: string): Promise<ImageFiles> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return {
    async store(content, source, signal) {
      const { bavail, bsize } = await statfs(directory);
      const free = bavail * bsize - reserveBytes;
      if (free < content.sizeBytes) throw storageFull(content.sizeBytes, Math.max(free, 0));
      const partial = join(directory, `${randomBytes(12).toString("hex")}${partialSuffix}`);
      await using undo = new AsyncDisposableStack();
      undo.defer(() => rm(partial, { force: true }));
      await writeVerified(partial, content, source, signal);
      await rename(partial, pathOf(directory, content.digest));
      await syncDirectory(directory);
    },
    async sizeOf(digest) {
      try {
        return (await stat(pathOf(directory, digest))).size;
      } catch (error) {
        if (isCode(error, "ENOENT")) return undefined;
        throw error;
      }
    },
    read: (digest, start, end) =>
      createReadStream(pathOf(directory, digest), { start, end, highWaterMark: 256 * 1024 }),
    remove: (digest) => rm(pathOf(directory, digest), { force: true }),
    async sweep(kept) {
      const keep = new Set([...kept].map((digest) => pathOf(directory, digest)));
      for (const name of await readdir(directory)) {
        if (!keep.has(join(directory, name))) await rm(join(directory, name), { force: true });
      }
    },
  };
}

/** The only way from a digest to a path: 64 hexadecimal digits, nothing else. */
function pathOf(directory: string, digest: string): string {
  const hex = digestPattern.exec(digest)?.[1];
  if (hex === undefined)
    throw new SkerryError("invalid-request", "That is not a digest: sha256: and 64 hexadecimal digits.");
  return join(directory, `sha256-${hex}`);
}

async function writeVerified(
  path: string,
  content: ImageContent,
  source: Readable,
  signal: AbortSignal,
): Promise<void> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  const file = await open(path, "wx+", 0o600);
  try {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      signal.throwIfAborted();
      sizeBytes += chunk.length;
      if (sizeBytes > content.sizeBytes) break;
      hash.update(chunk);
      await file.writeFile(chunk);
    }
    if (sizeBytes !== content.sizeBytes) {
      const seen = sizeBytes > content.sizeBytes ? "more bytes" : `${sizeBytes} bytes`;
      throw new SkerryError("digest-mismatch", `The image declares ${content.sizeBytes} bytes, and ${seen} came.`, {
        remedy: "Upload the file that the image was declared from, whole.",
      });
    }
    const digest = `sha256:${hash.digest("hex")}`;
    if (digest !== content.digest) {
      throw new SkerryError("digest-mismatch", `The image declares ${content.digest}, and ${digest} came.`, {
        remedy: "Upload the file that the image was declared from, or declare the image anew from this file.",
        facts: { declared: content.digest, seen: digest },
      });
    }
    if (content.format === "qcow2") {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(qcow2HeaderBytes), 0, qcow2HeaderBytes, 0);
      refuseOtherFiles(buffer.subarray(0, bytesRead));
    }
    await file.sync();
  } catch (error) {
    throw isCode(error, "ENOSPC") ? storageFull(content.sizeBytes, 0, error) : error;
  } finally {
    await file.close();
  }
}

function storageFull(needed: number, free: number, cause?: unknown): SkerryError {
  return new SkerryError("storage-full", `The image has ${needed} bytes, and the server's disk has room for ${free}.`, {
    remedy: "Free space in the server's data directory, or delete images that nothing uses.",
    cause,
  });
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
