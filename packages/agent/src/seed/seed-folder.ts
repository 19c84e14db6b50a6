import { chmod, mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeDurably } from "../durable-file.ts";
import type { SeedBuilder } from "../drivers/seed.ts";
import { checkedId } from "../drivers/server-made-id.ts";
import { isoImage } from "./iso9660.ts";
import { noCloudFiles, seedVolumeId } from "./no-cloud.ts";

/**
 * Seeds as ISO images in one folder. A seed whose content stays the same is not written again; a guest that runs keeps
 * the one it was started with. Only root may read them, and the hypervisor's user while it runs the guest: libvirt hands
 * them over for that time.
 */
export async function openSeedFolder(folder: string): Promise<SeedBuilder> {
  await mkdir(folder, { recursive: true });
  // The hypervisor's user must get through to its guest's seed, but not list them; whatever the umask.
  await chmod(folder, 0o711);
  const pathOf = (id: string): string => join(folder, `${checkedId("ins", id)}.iso`);
  return {
    async build(instance, nics, signal) {
      signal.throwIfAborted();
      const path = pathOf(instance.id);
      const image = isoImage(
        seedVolumeId,
        noCloudFiles({
          instanceId: instance.id,
          hostname: instance.name,
          sshKeys: instance.sshKeys,
          ...(instance.userData === undefined ? {} : { userData: instance.userData }),
          nics,
        }),
      );
      if (!(await holds(path, image))) await writeDurably(path, image);
      return path;
    },
    async remove(instanceId, signal) {
      signal.throwIfAborted();
      await rm(pathOf(instanceId), { force: true });
    },
  };
}

async function holds(path: string, content: Buffer): Promise<boolean> {
  try {
    return content.equals(await readFile(path));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}
