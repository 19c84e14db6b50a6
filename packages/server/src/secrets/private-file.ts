import { chmod, mkdir, open, readFile, rename, stat, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { SkerryError } from "@skerry/model";

/** A directory that only its owner may enter; made where it is missing. */
export async function ensurePrivateDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await chmod(path, 0o700);
}

/** Writes a whole file (mode 0600) durably: after a crash there is the old one, or none, or the new one. */
export async function writePrivateFile(path: string, content: string | Uint8Array): Promise<void> {
  const draft = `${path}.new`;
  const file = await open(draft, "w", 0o600);
  try {
    // `open` keeps the mode of a draft that a crash left behind.
    await file.chmod(0o600);
    await file.writeFile(content);
    await file.sync();
  } catch (error) {
    await unlink(draft);
    throw error;
  } finally {
    await file.close();
  }
  await rename(draft, path);
  await syncDirectory(dirname(path));
}

/**
 * Reads a file that holds a secret; undefined where there is none.
 * @throws SkerryError unavailable where others than its owner may read it
 */
export async function readPrivateFile(path: string): Promise<Buffer | undefined> {
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) {
      throw new SkerryError("unavailable", `${path} may be read by others than its owner.`, {
        remedy: `Find out who read it; then run: chmod 600 ${path}`,
      });
    }
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Makes renames and removals in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
