import { chmod, mkdir, open, readFile, rename, stat, unlink } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { SkerryError } from "@skerry/model";

/** A directory that only its owner may enter; made where it is missing. @throws SkerryError unavailable where it can't be */
export async function ensurePrivateDirectory(path: string): Promise<void> {
  try {
    await makeLevels(resolve(path));
    await chmod(path, 0o700);
  } catch (error) {
    throw new SkerryError("unavailable", `${path} can't be a data directory: ${(error as Error).message}.`, {
      remedy: "Name a directory, or a place for a new one, that belongs to who runs this: --data-dir DIR",
      cause: error,
    });
  }
}

/** Level by level: `mkdir` with `recursive` never ends below /proc. */
async function makeLevels(path: string): Promise<void> {
  const make = (): Promise<void> => mkdir(path, { mode: 0o700 });
  try {
    await make();
  } catch (error) {
    if (isCode(error, "ENOENT") && dirname(path) !== path) {
      await makeLevels(dirname(path));
      await make().catch((again: unknown) => {
        if (!isCode(again, "EEXIST")) throw again;
      });
      return;
    }
    const there = await stat(path).catch(() => undefined);
    if (there === undefined) throw error;
    if (!there.isDirectory()) throw new Error(`${path} is not a directory`, { cause: error });
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
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
    if (isCode(error, "ENOENT")) return undefined;
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
