import { existsSync } from "node:fs";
import { SkerryError } from "@skerry/model";
import { syncFile } from "../../durable-file.ts";
import type { VolumeDriver } from "../volume.ts";
import { VolumeFolder } from "./volume-folder.ts";
import { copyImage, growImage, inspectImage, makeBlankImage } from "./qemu-image.ts";

/** Volumes as qcow2 files in one folder, made and grown by qemu-img. */
export async function openDirectoryVolumes(folder: string): Promise<VolumeDriver> {
  const files = await VolumeFolder.open(folder, "qcow2", (path, signal) => inspectImage(path, "qcow2", signal));
  return {
    name: "directory",
    list: (signal) => files.list(signal),
    createBlank: (id, epoch, sizeMiB, signal) =>
      files.create(id, epoch, (draft) => makeBlankImage(draft, sizeMiB, signal), signal),
    createFromImage: (id, epoch, image, sizeMiB, signal) =>
      files.create(id, epoch, (draft) => copyImage(image, draft, sizeMiB, signal), signal),
    async grow(id, sizeMiB, signal) {
      await files.sizeOfReady(id);
      await growImage(files.finalPath(id), sizeMiB, signal);
      await syncFile(files.finalPath(id));
    },
    setEpoch: (id, epoch) => files.setEpoch(id, epoch),
    attachment(id) {
      const path = files.finalPath(id);
      if (!existsSync(path)) throw new SkerryError("conflict", `Volume ${id} is not ready to be attached.`);
      return { path, format: "qcow2" };
    },
    read: (id, offset, signal) => files.read(id, offset, signal),
    digest: (id, signal) => files.digest(id, signal),
    importOffset: (id, epoch, signal) => files.importOffset(id, epoch, signal),
    importWrite: (id, offset, source, signal) => files.importWrite(id, offset, source, signal),
    importComplete: (id, digest, signal) => files.importComplete(id, digest, signal),
    remove: (id) => files.remove(id),
  };
}
