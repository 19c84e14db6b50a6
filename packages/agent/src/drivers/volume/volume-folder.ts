import { chmod, mkdir, open, readFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { addAbortSignal } from "node:stream";
import type { Readable } from "node:stream";
import { SkerryError } from "@skerry/model";
import { isDiskFull } from "../../disk-full.ts";
import { renameDurably, syncDirectory, syncFile, writeDurably } from "../../durable-file.ts";
import { chunksOfFile, digestOfFile, isMissing, sizeOfFile, writeStream } from "../../file-bytes.ts";
import { checkedId } from "../server-made-id.ts";
import type { VolumeFile } from "../volume.ts";

/** Refuses a file that another node sent and that is no disk a guest may open: a right digest says only who made it. */
export type Inspect = (path: string, signal: AbortSignal) => Promise<unknown>;

/**
 * Volumes as files of one folder, whatever their format. `ID.EXTENSION` exists only once it is whole; a creation or an
 * import under way is `ID.creating.partial` or `ID.importing.partial`; `ID.epoch` stands beside them from the beginning.
 */
export class VolumeFolder {
  readonly #folder: string;
  readonly #extension: string;
  readonly #inspect: Inspect;

  private constructor(folder: string, extension: string, inspect: Inspect) {
    this.#folder = folder;
    this.#extension = extension;
    this.#inspect = inspect;
  }

  /** Makes the folder where it is missing, and clears drafts that a crash left. */
  static async open(folder: string, extension: string, inspect: Inspect): Promise<VolumeFolder> {
    await mkdir(folder, { recursive: true });
    // Hypervisors run as users of their own and must pass through, but not list.
    await chmod(folder, 0o711);
    for (const name of await readdir(folder)) {
      if (name.endsWith(".draft")) await rm(join(folder, name), { force: true });
    }
    return new VolumeFolder(folder, extension, inspect);
  }

  finalPath(id: string): string {
    return join(this.#folder, `${checkedId("vol", id)}.${this.#extension}`);
  }

  async list(signal: AbortSignal): Promise<VolumeFile[]> {
    const ids = new Set<string>();
    for (const name of await readdir(this.#folder)) {
      const id = /^(vol_[0-9a-z]{26})\./.exec(name)?.[1];
      if (id !== undefined) ids.add(id);
    }
    const files: VolumeFile[] = [];
    for (const id of ids) {
      signal.throwIfAborted();
      const ready = await sizeOfFile(this.finalPath(id));
      const usedBytes = ready ?? (await sizeOfFile(this.#importing(id))) ?? (await sizeOfFile(this.#creating(id))) ?? 0;
      files.push({ id, state: ready === undefined ? "partial" : "ready", epoch: await this.#epoch(id), usedBytes });
    }
    return files;
  }

  /** Runs `make` on a draft's path and makes the result the volume; nothing where the volume is there already. */
  async create(id: string, epoch: number, make: (draft: string) => Promise<void>, signal: AbortSignal): Promise<void> {
    const path = this.finalPath(id);
    await this.#raiseEpoch(id, epoch);
    if ((await sizeOfFile(path)) !== undefined) return;
    signal.throwIfAborted();
    const draft = this.#creating(id);
    await rm(this.#importing(id), { force: true });
    await rm(draft, { force: true });
    try {
      await withStorageError(id, async () => {
        await make(draft);
        await chmod(draft, 0o600);
        await syncFile(draft);
      });
    } catch (error) {
      // It begins anew next time, and a full disk has other uses for the space.
      await rm(draft, { force: true });
      throw error;
    }
    signal.throwIfAborted();
    await renameDurably(draft, path);
  }

  async setEpoch(id: string, epoch: number): Promise<void> {
    await this.sizeOfReady(id);
    await this.#raiseEpoch(id, epoch);
  }

  /** Bytes of a ready volume's file. @throws SkerryError not-found */
  async sizeOfReady(id: string): Promise<number> {
    const size = await sizeOfFile(this.finalPath(id));
    if (size === undefined) throw new SkerryError("not-found", `Volume ${id} is not on this node, or not whole.`);
    return size;
  }

  async read(
    id: string,
    offset: number,
    signal: AbortSignal,
  ): Promise<{ sizeBytes: number; bytes: AsyncIterable<Uint8Array> }> {
    const sizeBytes = await this.sizeOfReady(id);
    return { sizeBytes, bytes: chunksOfFile(this.finalPath(id), offset, signal) };
  }

  async digest(id: string, signal: AbortSignal): Promise<string> {
    await this.sizeOfReady(id);
    return digestOfFile(this.finalPath(id), signal);
  }

  async importOffset(id: string, epoch: number, signal: AbortSignal): Promise<number> {
    if ((await sizeOfFile(this.finalPath(id))) !== undefined && (await this.#epoch(id)) <= epoch) {
      throw new SkerryError("conflict", `Volume ${id} is whole on this node already.`, {
        remedy: "Remove it before it is imported anew.",
      });
    }
    signal.throwIfAborted();
    await this.#raiseEpoch(id, epoch);
    await rm(this.#creating(id), { force: true });
    const handle = await open(this.#importing(id), "a", 0o600);
    await handle.close();
    return (await sizeOfFile(this.#importing(id))) ?? 0;
  }

  async importWrite(id: string, offset: number, source: Readable, signal: AbortSignal): Promise<number> {
    const path = this.#importing(id);
    const size = await sizeOfFile(path);
    if (size === undefined || size < offset) {
      source.destroy();
      throw new SkerryError(
        "conflict",
        `Volume ${id} has ${size ?? 0} bytes here, so that nothing can be written at ${offset}.`,
      );
    }
    const handle = await open(path, "r+");
    try {
      await handle.truncate(offset);
      return await withStorageError(id, async () => {
        const end = await writeStream(handle, offset, addAbortSignal(signal, source));
        await handle.sync();
        return end;
      });
    } finally {
      await handle.close();
    }
  }

  async importComplete(id: string, digest: string, signal: AbortSignal): Promise<void> {
    const path = this.finalPath(id);
    if ((await sizeOfFile(path)) !== undefined) return;
    const draft = this.#importing(id);
    if ((await sizeOfFile(draft)) === undefined)
      throw new SkerryError("not-found", `Nothing of volume ${id} was imported here.`);
    const found = await digestOfFile(draft, signal);
    if (found !== digest) {
      await rm(draft, { force: true });
      throw new SkerryError(
        "digest-mismatch",
        `What was imported of volume ${id} has the digest ${found} and not ${digest}; it was dropped.`,
      );
    }
    // What is refused stays until it is ordered away, so that it is not fetched again in vain.
    await this.#inspect(draft, signal);
    await syncFile(draft);
    await renameDurably(draft, path);
  }

  async remove(id: string): Promise<void> {
    // The epoch goes last, so that a volume half removed keeps refusing older epochs.
    for (const path of [this.finalPath(id), this.#creating(id), this.#importing(id), this.#epochPath(id)]) {
      await rm(path, { force: true });
    }
    await syncDirectory(this.#folder);
  }

  #creating(id: string): string {
    return join(this.#folder, `${checkedId("vol", id)}.creating.partial`);
  }

  #importing(id: string): string {
    return join(this.#folder, `${checkedId("vol", id)}.importing.partial`);
  }

  #epochPath(id: string): string {
    return join(this.#folder, `${checkedId("vol", id)}.epoch`);
  }

  /** 0 where none was written yet. */
  async #epoch(id: string): Promise<number> {
    const text = await readFile(this.#epochPath(id), "utf8").catch((error: unknown) => {
      if (isMissing(error)) return "0";
      throw error;
    });
    const epoch = Number(text);
    if (!Number.isSafeInteger(epoch))
      throw new SkerryError("node-driver-failed", `The epoch beside volume ${id} cannot be read.`);
    return epoch;
  }

  async #raiseEpoch(id: string, epoch: number): Promise<void> {
    const held = await this.#epoch(id);
    if (epoch < held) {
      throw new SkerryError(
        "conflict",
        `Volume ${id} has epoch ${held} on this node; an order of epoch ${epoch} is out of date.`,
      );
    }
    if (epoch > held) await writeDurably(this.#epochPath(id), String(epoch));
  }
}

async function withStorageError<T>(id: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    throw new SkerryError("storage-full", `The node's disk is full; volume ${id} could not be written.`, {
      remedy: "Free space below the agent's data folder, or place the volume on another node.",
      cause: error,
    });
  }
}
