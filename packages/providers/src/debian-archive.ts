/*
 * A file travels to hosts as the one data member of a Debian archive (deb(5)), compressed by zstd: of all programs that
 * every supported host has, dpkg-deb alone reads zstd, which needs a third of gzip's time there and 15 % fewer bytes.
 */

const magic = "!<arch>\n";

function memberHeader(name: string, sizeBytes: number): string {
  const fields = [
    name.padEnd(16),
    "0".padEnd(12),
    "0".padEnd(6),
    "0".padEnd(6),
    "100644".padEnd(8),
    String(sizeBytes).padEnd(10),
  ];
  return `${fields.join("")}\`\n`;
}

/** Everything before the compressed bytes; its length does not depend on how many they are. */
export function archiveHead(compressedBytes: number): Buffer {
  const version = "2.0\n";
  return Buffer.from(
    [
      magic,
      memberHeader("debian-binary", version.length),
      version,
      memberHeader("control.tar", 0),
      memberHeader("data.tar.zst", compressedBytes),
    ].join(""),
    "latin1",
  );
}

/** Everything after them: members begin at even offsets. */
export function archiveTail(compressedBytes: number): Buffer {
  return Buffer.from(compressedBytes % 2 === 0 ? "" : "\n");
}
