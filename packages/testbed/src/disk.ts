import { readFile, truncate, writeFile } from "node:fs/promises";
import { runCommand } from "./command.ts";

/** A bootable disk: MBR, partition 1 FAT16 with syslinux and what it loads, partition 2 ext4 (last, so that it can grow). */
export interface DiskContents {
  /** Files of partition 1, by their 8.3 names; syslinux.cfg among them. */
  readonly bootFiles: Readonly<Record<string, string>>;
  readonly bootSizeMiB: number;
  /** Directory whose contents become partition 2's root. */
  readonly rootDirectory: string;
  readonly rootSizeMiB: number;
  readonly rootLabel: string;
}

const sectorBytes = 512;
const sectorsPerMiB = 2_048;
const bootPartitionStart = sectorsPerMiB;
const mbrCode = "/usr/lib/SYSLINUX/mbr.bin";

/** Writes the disk as qcow2 without a loop device or a mount: each tool works at an offset of one raw file beside `path`. */
export async function writeDisk(path: string, contents: DiskContents, signal?: AbortSignal): Promise<void> {
  const raw = `${path}.raw`;
  const bootSectors = contents.bootSizeMiB * sectorsPerMiB;
  const rootStart = bootPartitionStart + bootSectors;
  const rootSectors = contents.rootSizeMiB * sectorsPerMiB;
  await writeFile(
    raw,
    masterBootRecord(await readFile(mbrCode), [
      { type: 0x0e, bootable: true, startSector: bootPartitionStart, sectors: bootSectors },
      { type: 0x83, bootable: false, startSector: rootStart, sectors: rootSectors },
    ]),
  );
  await truncate(raw, (rootStart + rootSectors) * sectorBytes);
  const fat = `${raw}@@${bootPartitionStart * sectorBytes}`;
  const fatBlocks = String((bootSectors * sectorBytes) / 1_024);
  await runCommand(
    [
      "mkfs.fat",
      "-F",
      "16",
      "-s",
      "8",
      "-n",
      "BOOT",
      "-h",
      String(bootPartitionStart),
      "--offset",
      String(bootPartitionStart),
      raw,
      fatBlocks,
    ],
    { signal },
  );
  for (const [name, source] of Object.entries(contents.bootFiles)) {
    await runCommand(["mcopy", "-i", fat, source, `::${name}`], { env: { MTOOLS_SKIP_CHECK: "1" }, signal });
  }
  await runCommand(["syslinux", "--offset", String(bootPartitionStart * sectorBytes), "--install", raw], { signal });
  await runCommand(
    [
      "mkfs.ext4",
      "-q",
      "-F",
      "-L",
      contents.rootLabel,
      "-m",
      "0",
      "-J",
      "size=4",
      "-E",
      `offset=${rootStart * sectorBytes},lazy_itable_init=0,lazy_journal_init=0,nodiscard`,
      "-d",
      contents.rootDirectory,
      raw,
      `${contents.rootSizeMiB}M`,
    ],
    { signal },
  );
  await runCommand(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", raw, path], { signal });
}

export interface PartitionEntry {
  /** MBR partition type: 0x0e FAT16 with LBA, 0x83 Linux. */
  readonly type: number;
  readonly bootable: boolean;
  readonly startSector: number;
  readonly sectors: number;
}

/** The first sector of a disk: boot code and up to four primary partitions, addressed by sector only (no cylinders). */
export function masterBootRecord(code: Uint8Array, partitions: readonly PartitionEntry[]): Uint8Array {
  if (code.length > 440) throw new RangeError(`boot code of ${code.length} bytes does not fit in 440`);
  if (partitions.length > 4) throw new RangeError(`${partitions.length} partitions do not fit in a table of 4`);
  const sector = new Uint8Array(sectorBytes);
  const view = new DataView(sector.buffer);
  sector.set(code);
  partitions.forEach((partition, at) => {
    const entry = 446 + at * 16;
    sector[entry] = partition.bootable ? 0x80 : 0;
    sector.set([0xfe, 0xff, 0xff], entry + 1);
    sector[entry + 4] = partition.type;
    sector.set([0xfe, 0xff, 0xff], entry + 5);
    view.setUint32(entry + 8, partition.startSector, true);
    view.setUint32(entry + 12, partition.sectors, true);
  });
  sector.set([0x55, 0xaa], 510);
  return sector;
}
