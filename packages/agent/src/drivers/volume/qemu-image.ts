import { Type } from "typebox";
import { SkerryError, parserOf } from "@skerry/model";
import { runProgram } from "../run-program.ts";

const mebibyte = 1024 * 1024;

/** What is read of `qemu-img info`; its other fields are of no concern. */
const parseInfo = parserOf(
  Type.Object({
    format: Type.String(),
    "virtual-size": Type.Integer({ minimum: 0 }),
    encrypted: Type.Optional(Type.Boolean()),
    "backing-filename": Type.Optional(Type.String()),
    "full-backing-filename": Type.Optional(Type.String()),
    "format-specific": Type.Optional(Type.Object({ data: Type.Optional(Type.Record(Type.String(), Type.Unknown())) })),
  }),
  "answer of qemu-img",
  "node-driver-failed",
);

/**
 * Virtual size of an image that stands alone. A qcow2 file can name other files of the host as its backing or data file,
 * and a guest that boots from it would read them; such images are refused here, before anything opens them for a guest.
 * @throws SkerryError invalid-request where the image refers to another file or is encrypted
 */
export async function inspectImage(
  path: string,
  format: "qcow2" | "raw",
  signal: AbortSignal,
): Promise<{ virtualSizeBytes: number }> {
  const argv = ["qemu-img", "info", "--output=json", "-f", format, path] as const;
  // Malformed images have made the parser eat memory and time without end.
  const bounded = ["prlimit", "--as=4294967296", "--cpu=30", ...argv] as const;
  const { stdout } = await runProgram(bounded, AbortSignal.any([signal, AbortSignal.timeout(60_000)]));
  const info = parseInfo(JSON.parse(stdout));
  const data = info["format-specific"]?.data ?? {};
  const reference = info["backing-filename"] ?? info["full-backing-filename"] ?? data["data-file"];
  if (reference !== undefined || data["data-file-raw"] === true) {
    throw new SkerryError(
      "invalid-request",
      "The image refers to another file, which could be any file of the node; it is refused.",
      {
        remedy: "Flatten it with `qemu-img convert -O qcow2 IMAGE FLAT` and upload the result.",
      },
    );
  }
  if (info.encrypted === true) {
    throw new SkerryError("invalid-request", "The image is encrypted; Skerry cannot open it.", {
      remedy: "Upload it without encryption.",
    });
  }
  return { virtualSizeBytes: info["virtual-size"] };
}

/** Makes an empty qcow2 file. */
export async function makeBlankImage(path: string, sizeMiB: number, signal: AbortSignal): Promise<void> {
  await runProgram(["qemu-img", "create", "-q", "-f", "qcow2", path, `${sizeMiB}M`], signal);
}

/** Copies an image into a qcow2 file of its own, without its snapshots and bitmaps, grown to `sizeMiB`. */
export async function copyImage(
  image: { readonly path: string; readonly format: "qcow2" | "raw" },
  path: string,
  sizeMiB: number,
  signal: AbortSignal,
): Promise<void> {
  const { virtualSizeBytes } = await inspectImage(image.path, image.format, signal);
  if (virtualSizeBytes > sizeMiB * mebibyte) {
    const needed = Math.ceil(virtualSizeBytes / mebibyte);
    throw new SkerryError("conflict", `The image needs a disk of ${needed} MiB, and the volume has ${sizeMiB} MiB.`, {
      remedy: `Ask for at least ${needed} MiB.`,
    });
  }
  await runProgram(["qemu-img", "convert", "-q", "-f", image.format, "-O", "qcow2", image.path, path], signal);
  await growImage(path, sizeMiB, signal);
}

/** Grows a qcow2 file that no guest has open. @throws SkerryError conflict where it is larger already */
export async function growImage(path: string, sizeMiB: number, signal: AbortSignal): Promise<void> {
  const { virtualSizeBytes } = await inspectImage(path, "qcow2", signal);
  const wantedBytes = sizeMiB * mebibyte;
  if (virtualSizeBytes > wantedBytes) {
    throw new SkerryError(
      "conflict",
      `The disk has ${Math.ceil(virtualSizeBytes / mebibyte)} MiB and is never shrunk, to ${sizeMiB} MiB here.`,
      {
        remedy: "Ask for at least the size that it has.",
      },
    );
  }
  if (virtualSizeBytes < wantedBytes)
    await runProgram(["qemu-img", "resize", "-q", "-f", "qcow2", path, `${sizeMiB}M`], signal);
}
