import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { Option } from "commander";
import { SkerryError, specParser } from "@skerry/model";
import { uploadImageFile } from "../image-upload.ts";
import { given, toNumber, type DraftFlags } from "./flag-values.ts";

const parse = specParser("Image");

/** The flags of `skerry image create`; digest and sizes are read from the file, which is uploaded right after. */
export const imageFlags: DraftFlags<"Image"> = {
  declare: (command) => {
    command
      .requiredOption("--file <file>", "disk image to upload")
      .addOption(
        new Option("--format <format>", "how its bytes are to be read").choices(["qcow2", "raw"]).default("qcow2"),
      )
      .addOption(
        new Option("--architecture <name>", "what it runs on").choices(["x86_64", "aarch64"]).default("x86_64"),
      )
      .option("--min-memory <MiB>", "what its guests need at least", toNumber)
      .option("--description <text>", "for people")
      .option("--shared", "usable from every project");
  },
  spec: async ({ file, format, architecture, minMemory, description, shared }, signal) => {
    const path = String(file);
    const { digest, sizeBytes } = await measureFile(path, signal);
    const virtualBytes = format === "raw" ? sizeBytes : await qcow2VirtualBytes(path);
    return parse(
      given({
        digest,
        sizeBytes,
        format,
        architecture,
        virtualSizeMiB: Math.ceil(virtualBytes / 1024 ** 2),
        minMemoryMiB: minMemory,
        description,
        shared,
      }),
    );
  },
  complete: (terminal, client, key, image, { file }, signal) =>
    uploadImageFile(terminal, client, key, image, String(file), signal),
};

/** sha256 and size of a whole file. @throws SkerryError invalid-request where it cannot be read */
async function measureFile(
  path: string,
  signal: AbortSignal,
): Promise<{ readonly digest: string; readonly sizeBytes: number }> {
  try {
    const { size } = await stat(path);
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(path, { signal, highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
    return { digest: `sha256:${hash.digest("hex")}`, sizeBytes: size };
  } catch (error) {
    if (signal.aborted) throw error;
    throw new SkerryError("invalid-request", `--file: ${path} cannot be read.`, {
      remedy: "Check the path and its permissions.",
      cause: error,
    });
  }
}

/** The guest's disk size from a qcow2 header (QEMU docs/interop/qcow2.txt: bytes 24-31, big endian). */
async function qcow2VirtualBytes(path: string): Promise<number> {
  const file = await open(path, "r");
  try {
    const header = Buffer.alloc(32);
    const { bytesRead } = await file.read(header, 0, 32, 0);
    if (bytesRead < 32 || header.readUInt32BE(0) !== 0x51_46_49_fb) {
      throw new SkerryError("invalid-request", `${path} is not a qcow2 image.`, {
        remedy: "Give --format raw, or convert it: qemu-img convert -O qcow2 IN OUT.",
      });
    }
    return Number(header.readBigUInt64BE(24));
  } finally {
    await file.close();
  }
}
