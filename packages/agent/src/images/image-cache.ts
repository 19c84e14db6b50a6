import { chmod, mkdir, open, readdir, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { SkerryError } from "@skerry/model";
import { renameDurably, syncFile } from "../durable-file.ts";
import { isDiskFull } from "../disk-full.ts";
import { digestOfFile, isMissing, sizeOfFile, writeStream } from "../file-bytes.ts";
import { pour } from "../pour.ts";
import type { ImageSource } from "./image-source.ts";

type OnBytes = (doneBytes: number) => void;

/** Images that can be had on this node. */
export interface Images {
  /**
   * Path of a file whose digest was verified during this call.
   * @throws SkerryError digest-mismatch where the source sends something else, too-large where it sends more than `sizeBytes`
   */
  get(digest: string, sizeBytes: number, onBytes: OnBytes, signal: AbortSignal): Promise<string>;
}

interface Download {
  readonly path: Promise<string>;
  readonly controller: AbortController;
  readonly listeners: Set<OnBytes>;
  readonly ended: Promise<void>;
}

/** A server that sends nothing for this long is given up on until the next attempt. */
const stallMs = 30_000;
const maxPerPruning = 100;

/**
 * Images on this node, by digest: `DIGEST.image`, whole and verified; `DIGEST.partial`, as far as it came. Whoever needs
 * the same image at the same time shares one download, which ends when the last of them no longer waits. A file's time of
 * change says when it was last asked for; `prune` goes by that.
 */
export class ImageCache implements Images {
  readonly #folder: string;
  readonly #source: ImageSource;
  readonly #downloads = new Map<string, Download>();

  private constructor(folder: string, source: ImageSource) {
    this.#folder = folder;
    this.#source = source;
  }

  static async open(folder: string, source: ImageSource): Promise<ImageCache> {
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o700);
    return new ImageCache(folder, source);
  }

  async get(digest: string, sizeBytes: number, onBytes: OnBytes, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    const current = this.#downloads.get(digest);
    if (current?.controller.signal.aborted === true) {
      // Its last waiter has just left; its file is closed first.
      await current.ended;
      return this.get(digest, sizeBytes, onBytes, signal);
    }
    const download = current ?? this.#begin(digest, sizeBytes);
    const { path, controller, listeners } = download;
    // A listener of its own per caller, even if two callers pass the same function.
    const listener: OnBytes = (doneBytes) => onBytes(doneBytes);
    listeners.add(listener);
    const { promise: left, reject: leave } = Promise.withResolvers<never>();
    const onAbort = (): void => leave(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await Promise.race([path, left]);
    } finally {
      signal.removeEventListener("abort", onAbort);
      listeners.delete(listener);
      if (listeners.size === 0) {
        controller.abort(new SkerryError("operation-cancelled", "Nobody waits for this image any more."));
      }
    }
  }

  /**
   * Removes images, and downloads that broke off, which nobody asked for within `unusedMs`; never what `isNeeded` names, nor
   * what is just being fetched. At most `maxPerPruning` at once.
   * @returns bytes that were freed
   */
  async prune(isNeeded: (digest: string) => boolean, unusedMs: number, nowMs: number): Promise<number> {
    let freed = 0;
    let removed = 0;
    for (const name of await readdir(this.#folder)) {
      const hex = /^([0-9a-f]{64})\.(?:image|partial)$/.exec(name)?.[1];
      if (hex === undefined || removed >= maxPerPruning) continue;
      const path = join(this.#folder, name);
      const found = await stat(path).catch((error: unknown) => {
        if (isMissing(error)) return undefined;
        throw error;
      });
      const digest = `sha256:${hex}`;
      // Asked last, and nothing is awaited between this and the removal's begin.
      if (found === undefined || nowMs - found.mtimeMs < unusedMs || isNeeded(digest) || this.#downloads.has(digest))
        continue;
      await rm(path, { force: true });
      removed += 1;
      freed += found.size;
    }
    return freed;
  }

  #begin(digest: string, sizeBytes: number): Download {
    const controller = new AbortController();
    const listeners = new Set<OnBytes>();
    const tell: OnBytes = (doneBytes) => {
      for (const listener of listeners) listener(doneBytes);
    };
    const path = this.#fetch(hexOf(digest), digest, sizeBytes, tell, controller.signal).finally(() =>
      this.#downloads.delete(digest),
    );
    // Each waiter hears of a failure from `path`; a download that nobody waits for may fail unheard.
    const ended = path.then(
      () => undefined,
      () => undefined,
    );
    const download = { path, controller, listeners, ended };
    this.#downloads.set(digest, download);
    return download;
  }

  async #fetch(hex: string, digest: string, sizeBytes: number, onBytes: OnBytes, signal: AbortSignal): Promise<string> {
    const path = join(this.#folder, `${hex}.image`);
    if ((await sizeOfFile(path)) !== undefined) {
      // Before it is read: what is in use must not look unused.
      const now = new Date();
      await utimes(path, now, now);
      if ((await digestOfFile(path, signal)) === digest) return path;
      await rm(path, { force: true });
    }
    const draft = join(this.#folder, `${hex}.partial`);
    await this.#download(draft, digest, sizeBytes, onBytes, signal);
    const found = await digestOfFile(draft, signal);
    if (found !== digest) {
      await rm(draft, { force: true });
      throw new SkerryError(
        "digest-mismatch",
        `The server sent an image with the digest ${found} for ${digest}; it was dropped.`,
      );
    }
    await syncFile(draft);
    await renameDurably(draft, path);
    return path;
  }

  async #download(
    draft: string,
    digest: string,
    sizeBytes: number,
    onBytes: OnBytes,
    signal: AbortSignal,
  ): Promise<void> {
    let offset = (await sizeOfFile(draft)) ?? 0;
    if (offset > sizeBytes) offset = 0;
    onBytes(offset);
    if (offset === sizeBytes) return;
    const count: OnBytes = (doneBytes) => {
      if (doneBytes > sizeBytes) {
        throw new SkerryError(
          "too-large",
          `The server sends more than the ${sizeBytes} bytes that the image has; the download was stopped.`,
        );
      }
      onBytes(doneBytes);
    };
    const handle = await open(draft, offset === 0 ? "w" : "r+", 0o600);
    try {
      const body = await this.#source.open(digest, offset, signal);
      const end = await pour(
        body,
        { startBytes: offset, stallMs, onBytes: count },
        (bytes) => writeStream(handle, offset, bytes),
        signal,
      );
      if (end < sizeBytes) throw new SkerryError("unavailable", `The image ended after ${end} of ${sizeBytes} bytes.`);
      await handle.sync();
    } catch (error) {
      throw isDiskFull(error) ? imageDiskFull(sizeBytes, error) : error;
    } finally {
      await handle.close();
    }
  }
}

function imageDiskFull(sizeBytes: number, cause: unknown): SkerryError {
  return new SkerryError("storage-full", `The node's disk is full; an image of ${sizeBytes} bytes could not be kept.`, {
    remedy: "Free space below the agent's data folder, or place the instance on another node.",
    cause,
  });
}

function hexOf(digest: string): string {
  const hex = /^sha256:([0-9a-f]{64})$/.exec(digest)?.[1];
  if (hex === undefined)
    throw new SkerryError("invalid-request", `${JSON.stringify(digest.slice(0, 80))} is not a digest.`);
  return hex;
}
