import { constants } from "node:fs";
import { open } from "node:fs/promises";

/**
 * Whether a file's file system takes O_DIRECT, which `cache=none` needs; some (overlayfs, tmpfs, FUSE) do not. A file that
 * can't be opened counts as not, and the guest's start says why.
 */
export async function takesDirectAccess(path: string): Promise<boolean> {
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_DIRECT);
    await handle.close();
    return true;
  } catch {
    return false; // The reason does not matter: without O_DIRECT the guest runs too.
  }
}
