/*
 * A read-only ISO 9660 image with Rock Ridge names, for a handful of small files in its root: what NoCloud asks for. It is
 * written here because the same content must always give the same bytes, which the usual tools do not promise, and so that
 * a node needs none of them. Sections are those of ECMA-119 (volume), IEEE P1281 (SUSP) and P1282 (RRIP 1.10).
 */

/** One file of the image; names are shown to the guest as they are, through Rock Ridge. */
export interface IsoFile {
  /** Lower-case letters, digits and hyphens, at most 30. */
  readonly name: string;
  readonly content: Uint8Array;
}

const sectorBytes = 2048;
const volumeDescriptorSector = 16;
const littlePathTableSector = 18;
const bigPathTableSector = 19;
const rootSector = 20;
const firstFileSector = 21;
const pathTableBytes = 10;
/** 9.1.5: years since 1900, month, day, time, offset from UTC. */
const recordingDate = Buffer.of(120, 1, 1, 0, 0, 0, 0);

/**
 * Lays the files out, one after another. All dates are one fixed day, so that equal files give equal images.
 * @param volumeId 1 to 32 of a-z, A-Z, 0-9 and _; not restricted to the standard's upper case, since cloud-init looks for "cidata"
 * @throws RangeError for names or a number of files that do not fit one directory sector
 */
export function isoImage(volumeId: string, files: readonly IsoFile[]): Buffer {
  if (!/^[A-Za-z0-9_]{1,32}$/.test(volumeId)) throw new RangeError(`${JSON.stringify(volumeId)} is not a volume id`);
  const root = Buffer.alloc(sectorBytes);
  let at = 0;
  const addRecord = (record: Buffer): void => {
    if (at + record.length > sectorBytes) throw new RangeError("too many files for one directory sector");
    record.copy(root, at);
    at += record.length;
  };
  addRecord(directoryRecord(Buffer.of(0), rootSector, sectorBytes, true, [sharingProtocol, posix(true), rockRidge]));
  addRecord(directoryRecord(Buffer.of(1), rootSector, sectorBytes, true, [posix(true)]));

  // A directory's records are sorted by identifier (9.3), which the numbers see to.
  let sector = firstFileSector;
  const extents: { readonly sector: number; readonly content: Uint8Array }[] = [];
  for (const [index, { name, content }] of files.entries()) {
    if (!/^[a-z0-9-]{1,30}$/.test(name))
      throw new RangeError(`${JSON.stringify(name)} is not a file name for the image`);
    const identifier = Buffer.from(`F${String(index).padStart(2, "0")}.;1`, "latin1");
    addRecord(directoryRecord(identifier, sector, content.length, false, [posix(false), alternateName(name)]));
    extents.push({ sector, content });
    sector += Math.ceil(content.length / sectorBytes);
  }

  const image = Buffer.alloc(sector * sectorBytes);
  const place = (block: Uint8Array, target: number): void => image.set(block, target * sectorBytes);
  place(primaryVolumeDescriptor(volumeId, sector), volumeDescriptorSector);
  place(Buffer.from("\xffCD001\x01", "latin1"), volumeDescriptorSector + 1);
  place(pathTable("little"), littlePathTableSector);
  place(pathTable("big"), bigPathTableSector);
  place(root, rootSector);
  for (const extent of extents) place(extent.content, extent.sector);
  return image;
}

/** 8.4: where everything is; both-endian numbers (7.2.3, 7.3.3) throughout. */
function primaryVolumeDescriptor(volumeId: string, sectors: number): Buffer {
  const block = Buffer.alloc(sectorBytes);
  block.write("\x01CD001\x01", 0, "latin1");
  block.fill(" ", 8, 72).write(volumeId, 40, "latin1");
  both32(sectors).copy(block, 80);
  both16(1).copy(block, 120);
  both16(1).copy(block, 124);
  both16(sectorBytes).copy(block, 128);
  both32(pathTableBytes).copy(block, 132);
  block.writeUInt32LE(littlePathTableSector, 140);
  block.writeUInt32BE(bigPathTableSector, 148);
  directoryRecord(Buffer.of(0), rootSector, sectorBytes, true, []).copy(block, 156);
  block.fill(" ", 190, 813);
  // 8.4.26: no date is sixteen zeros and a zero offset from UTC.
  for (const date of [813, 830, 847, 864]) block.write("0000000000000000\0", date, "latin1");
  block.writeUInt8(1, 881);
  return block;
}

/** 9.1, with the system use fields of SUSP after the identifier. */
function directoryRecord(
  identifier: Buffer,
  sector: number,
  bytes: number,
  directory: boolean,
  systemUse: readonly Buffer[],
): Buffer {
  const head = Buffer.alloc(33);
  both32(sector).copy(head, 2);
  both32(bytes).copy(head, 10);
  recordingDate.copy(head, 18);
  head.writeUInt8(directory ? 2 : 0, 25);
  both16(1).copy(head, 28);
  head.writeUInt8(identifier.length, 32);
  const padding = Buffer.alloc(identifier.length % 2 === 0 ? 1 : 0);
  const record = Buffer.concat([head, identifier, padding, ...systemUse]);
  const even = Buffer.concat([record, Buffer.alloc(record.length % 2)]);
  even.writeUInt8(even.length, 0);
  return even;
}

/** 9.4: the root is the only directory. */
function pathTable(order: "little" | "big"): Buffer {
  const table = Buffer.alloc(pathTableBytes);
  table.writeUInt8(1, 0);
  if (order === "little") table.writeUInt32LE(rootSector, 2);
  else table.writeUInt32BE(rootSector, 2);
  if (order === "little") table.writeUInt16LE(1, 6);
  else table.writeUInt16BE(1, 6);
  return table;
}

/** SUSP 5.3: says that system use fields are in use. */
const sharingProtocol = Buffer.from("SP\x07\x01\xbe\xef\x00", "latin1");

/** SUSP 5.5: names the extension; Linux turns Rock Ridge on when it sees it. */
const rockRidge = Buffer.from("ER\x12\x01\x0a\x00\x00\x01RRIP_1991A", "latin1");

/** RRIP 4.1.1: mode, links, user and group; everything belongs to root and is read-only. */
function posix(directory: boolean): Buffer {
  const mode = directory ? 0o40555 : 0o100444;
  return Buffer.concat([
    Buffer.from("PX\x24\x01", "latin1"),
    both32(mode),
    both32(directory ? 2 : 1),
    both32(0),
    both32(0),
  ]);
}

/** RRIP 4.1.4: the file's real name. */
function alternateName(name: string): Buffer {
  return Buffer.concat([Buffer.from("NM", "latin1"), Buffer.of(5 + name.length, 1, 0), Buffer.from(name, "latin1")]);
}

function both16(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16LE(value, 0);
  bytes.writeUInt16BE(value, 2);
  return bytes;
}

function both32(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(value, 0);
  bytes.writeUInt32BE(value, 4);
  return bytes;
}
