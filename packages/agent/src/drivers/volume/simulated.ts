import { existsSync } from "node:fs";
import { SkerryError } from "@skerry/model";
import { makeSimulatedDisk, readSimulatedHeader, resizeSimulatedDisk } from "../simulated-disk.ts";
import type { VolumeDriver } from "../volume.ts";
import { VolumeFolder } from "./volume-folder.ts";

/** Volumes for simulated guests: small sparse files with the same life, epochs and transfers as real ones. */
export async function openSimulatedVolumes(folder: string): Promise<VolumeDriver> {
  const files = await VolumeFolder.open(folder, "disk", readSimulatedHeader);
  return {
    name: "simulated",
    list: (signal) => files.list(signal),
    createBlank: (id, epoch, sizeMiB, signal) =>
      files.create(id, epoch, (draft) => makeSimulatedDisk(draft, sizeMiB, undefined, signal), signal),
    createFromImage: (id, epoch, image, sizeMiB, signal) =>
      files.create(id, epoch, (draft) => makeSimulatedDisk(draft, sizeMiB, image.path, signal), signal),
    async grow(id, sizeMiB) {
      await files.sizeOfReady(id);
      const header = await readSimulatedHeader(files.finalPath(id));
      if (header.sizeMiB > sizeMiB) {
        throw new SkerryError(
          "conflict",
          `The disk has ${header.sizeMiB} MiB and is never shrunk, to ${sizeMiB} MiB here.`,
        );
      }
      if (header.sizeMiB < sizeMiB) await resizeSimulatedDisk(files.finalPath(id), { ...header, sizeMiB });
    },
    setEpoch: (id, epoch) => files.setEpoch(id, epoch),
    attachment(id) {
      const path = files.finalPath(id);
      if (!existsSync(path)) throw new SkerryError("conflict", `Volume ${id} is not ready to be attached.`);
      return { path, format: "raw" };
    },
    read: (id, offset, signal) => files.read(id, offset, signal),
    digest: (id, signal) => files.digest(id, signal),
    importOffset: (id, epoch, signal) => files.importOffset(id, epoch, signal),
    importWrite: (id, offset, source, signal) => files.importWrite(id, offset, source, signal),
    importComplete: (id, digest, signal) => files.importComplete(id, digest, signal),
    remove: (id) => files.remove(id),
  };
}
