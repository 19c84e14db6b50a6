import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { createReadStream, createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { Type } from "typebox";
import { parserOf } from "@skerry/model";

/*
 * A simulated disk: a header block, then content. The header travels with the file, so that a moved guest finds its size
 * and its tick counter at the other node. A simulated MiB is 1 KiB of file, so that large disks stay cheap.
 */
const headerBytes = 4096;
const magic = "skerry simulated disk\n";
const bytesPerMiB = 1024;
const markBytes = 65_536;

const parseHeader = parserOf(
  Type.Object({ sizeMiB: Type.Integer({ minimum: 1 }), ticks: Type.Integer({ minimum: 0 }) }),
  "header of the simulated disk",
  "node-driver-failed",
);
export interface SimulatedDiskHeader {
  readonly sizeMiB: number;
  /** How often the guest was asked to tick; durable before each answer. */
  readonly ticks: number;
}

/** Writes a new disk whose content is the image's bytes, or zeros; content shorter than its size is sparse. */
export async function makeSimulatedDisk(
  path: string,
  sizeMiB: number,
  imagePath: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  if (imagePath === undefined) await truncateTo(path, 0);
  else {
    await truncateTo(path, headerBytes);
    await pipeline(createReadStream(imagePath), createWriteStream(path, { flags: "r+", start: headerBytes }), {
      signal,
    });
  }
  await resizeSimulatedDisk(path, { sizeMiB, ticks: 0 });
}

/** Replaces the header and lengthens the file to its size. */
export async function resizeSimulatedDisk(path: string, header: SimulatedDiskHeader): Promise<void> {
  const handle = await open(path, "r+");
  try {
    const { size } = await handle.stat();
    await handle.truncate(Math.max(size, headerBytes + header.sizeMiB * bytesPerMiB));
    await writeHeader(handle, header);
  } finally {
    await handle.close();
  }
}

export async function readSimulatedHeader(path: string): Promise<SimulatedDiskHeader> {
  const handle = await open(path, "r");
  try {
    return await readHeader(handle);
  } finally {
    await handle.close();
  }
}

/** Counts one tick, durably, and gives the new count. */
export async function tickSimulatedDisk(path: string): Promise<number> {
  const handle = await open(path, "r+");
  try {
    const header = await readHeader(handle);
    await writeHeader(handle, { ...header, ticks: header.ticks + 1 });
    return header.ticks + 1;
  } finally {
    await handle.close();
  }
}

/** sha256 of the first 64 KiB of content, hex: what tells one disk from another. */
export async function markOfSimulatedDisk(path: string): Promise<string> {
  const handle = await open(path, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(markBytes), 0, markBytes, headerBytes);
    return createHash("sha256").update(buffer.subarray(0, bytesRead)).digest("hex");
  } finally {
    await handle.close();
  }
}

async function readHeader(handle: FileHandle): Promise<SimulatedDiskHeader> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(headerBytes), 0, headerBytes, 0);
  const text = buffer.toString("utf8", 0, bytesRead);
  const line = text.startsWith(magic) ? text.slice(magic.length).split("\n")[0] : undefined;
  let value: unknown;
  try {
    value = JSON.parse(line ?? "");
  } catch {
    value = undefined; // Not a simulated disk; the parser's error says so.
  }
  return parseHeader(value);
}

async function writeHeader(handle: FileHandle, header: SimulatedDiskHeader): Promise<void> {
  const block = Buffer.alloc(headerBytes);
  block.write(`${magic}${JSON.stringify(header)}\n`);
  await handle.write(block, 0, headerBytes, 0);
  await handle.sync();
}

async function truncateTo(path: string, bytes: number): Promise<void> {
  const handle = await open(path, "w", 0o600);
  try {
    await handle.truncate(bytes);
  } finally {
    await handle.close();
  }
}
