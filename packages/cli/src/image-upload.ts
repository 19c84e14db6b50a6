import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { SkerryError, type ImageResource } from "@skerry/model";
import type { Client, ResourceKey } from "@skerry/sdk";
import { openProgress } from "./output/progress.ts";
import type { Terminal } from "./output/terminal.ts";

/**
 * Uploads the file that an image was declared from, showing how far it is, and gives the image as it then is. An image
 * whose content the control plane has is left alone.
 * @throws SkerryError with the way to try again, since the image itself stays declared
 */
export async function uploadImageFile(
  terminal: Terminal,
  client: Client,
  key: ResourceKey,
  image: ImageResource,
  file: string,
  signal: AbortSignal,
): Promise<ImageResource> {
  if (image.status.state === "ready") return image;
  const { sizeBytes } = image.spec;
  const progress = await openProgress(terminal);
  const fromMs = performance.now();
  let sent = 0;
  const show = (state: "running" | "done" | "failed"): void =>
    progress.update([
      { label: "upload", state, done: sent, total: sizeBytes, unit: "bytes", elapsedMs: performance.now() - fromMs },
    ]);
  try {
    show("running");
    const content = counted(createReadStream(file, { highWaterMark: 1 << 20 }), (bytes) => {
      sent += bytes;
      show("running");
    });
    await client.uploadImage(key, content, sizeBytes, signal);
    show("done");
  } catch (error) {
    show("failed");
    if (signal.aborted || !(error instanceof SkerryError)) throw error;
    throw new SkerryError(error.code, `The content of image ${key.name} was not uploaded: ${error.message}`, {
      remedy: `${error.remedy === undefined ? "" : `${error.remedy} `}Then: skerry image upload ${key.name} --file FILE`,
      cause: error,
    });
  } finally {
    progress.finish();
  }
  return client.get("Image", key, signal);
}

function counted(source: Readable, onBytes: (count: number) => void): ReadableStream<Uint8Array> {
  return (Readable.toWeb(source) as ReadableStream<Uint8Array>).pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        onBytes(chunk.byteLength);
        controller.enqueue(chunk);
      },
    }),
  );
}
