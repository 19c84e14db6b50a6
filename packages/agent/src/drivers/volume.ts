import type { Readable } from "node:stream";

export interface VolumeFile {
  readonly id: string;
  /** `partial` until `complete` was called on an import or creation ended. */
  readonly state: "partial" | "ready";
  readonly epoch: number;
  readonly usedBytes: number;
}

/**
 * Disks on this node. Every call may be repeated; half-made files are told from finished ones across a crash. All drivers
 * pass `volumeDriverContract`. The epoch stands beside the file and only rises.
 */
export interface VolumeDriver {
  readonly name: "directory" | "simulated";
  list(signal: AbortSignal): Promise<readonly VolumeFile[]>;
  createBlank(id: string, epoch: number, sizeMiB: number, signal: AbortSignal): Promise<void>;
  /** A full copy of a verified image file, grown to `sizeMiB`. */
  createFromImage(
    id: string,
    epoch: number,
    image: { readonly path: string; readonly format: "qcow2" | "raw" },
    sizeMiB: number,
    signal: AbortSignal,
  ): Promise<void>;
  /** Grows the disk of a stopped guest; shrinking is refused. */
  grow(id: string, sizeMiB: number, signal: AbortSignal): Promise<void>;
  setEpoch(id: string, epoch: number, signal: AbortSignal): Promise<void>;
  /** What hypervisors open; only for `ready` volumes. */
  attachment(id: string): { readonly path: string; readonly format: "qcow2" | "raw" };
  /** The file's bytes from `offset`, as they travel to another node; a chunk is overwritten when the next one is asked for. */
  read(
    id: string,
    offset: number,
    signal: AbortSignal,
  ): Promise<{ readonly sizeBytes: number; readonly bytes: AsyncIterable<Uint8Array> }>;
  /** sha256 of the whole file, hex, with `sha256:` before it. */
  digest(id: string, signal: AbortSignal): Promise<string>;
  /** Begins or continues an import; gives the bytes that are already there. */
  importOffset(id: string, epoch: number, signal: AbortSignal): Promise<number>;
  /** Appends at `offset`; fsyncs at the end of the stream. */
  importWrite(id: string, offset: number, source: Readable, signal: AbortSignal): Promise<number>;
  /**
   * Verifies the digest over what is on disk, and that it is a disk that stands alone, then makes it `ready`.
   * @throws SkerryError digest-mismatch, and drops the bytes; another for a file that no guest may open
   */
  importComplete(id: string, digest: string, signal: AbortSignal): Promise<void>;
  remove(id: string, signal: AbortSignal): Promise<void>;
}
