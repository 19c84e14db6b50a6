import { SkerryError } from "@skerry/model";

/** What is looked at: magic, version, the backing file's offset, incompatible features (QEMU, docs/interop/qcow2). */
export const qcow2HeaderBytes = 80;
const magic = 0x51_46_49_fb;
const externalData = 4n;

/**
 * Refuses a qcow2 file that takes its content from another one: it would be a file of whichever host uses the image.
 * @throws SkerryError invalid-request
 */
export function refuseOtherFiles(head: Buffer): void {
  if (head.length < qcow2HeaderBytes || head.readUInt32BE(0) !== magic) return;
  const hasBacking = head.readBigUInt64BE(8) !== 0n;
  const hasData = head.readUInt32BE(4) >= 3 && (head.readBigUInt64BE(72) & externalData) !== 0n;
  if (!hasBacking && !hasData) return;
  throw new SkerryError(
    "invalid-request",
    `The image names ${hasBacking ? "a backing file" : "a data file"} beside it.`,
    {
      remedy: "Make one that stands alone: qemu-img convert -O qcow2 FILE WHOLE.qcow2",
    },
  );
}
